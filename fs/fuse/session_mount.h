// A mount as libfuse has it: made, served, taken down.
#pragma once

#include <memory>
#include <string>

#include "fs/fuse/session.h"

struct fuse_session;

namespace gzipfs {

class FuseAdapter;

// One thread at a time. Going unmounts, if nobody else did.
class FuseMount {
 public:
  // Mounts the store of `options`; requests go to `adapter`, which must
  // outlive the mount, once Serve runs. The error is a sentence for a person.
  static tl::expected<std::unique_ptr<FuseMount>, std::string> Make(const MountOptions& options,
                                                                    FuseAdapter& adapter);
  ~FuseMount();
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;

  // Serves requests on several threads until somebody unmounts or RequestEnd
  // is called. REQUIRES: the calling thread does not block SIGUSR2.
  Result<void> Serve();

  // Makes Serve return soon. Works from any thread, but not from one that
  // serves a request. Needs to be repeated until Serve has returned: the
  // waiting thread may just be about to wait.
  void RequestEnd();

  // Unmounts now. Requests that are not answered fail.
  void Unmount();

 private:
  explicit FuseMount(fuse_session* session);

  fuse_session* session_;
  const pthread_t serving_thread_;
  bool is_mounted_ = false;
};

}  // namespace gzipfs
