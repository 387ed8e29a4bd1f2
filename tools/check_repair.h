// `gzipfs check --repair`: the stores it locks, and the files it repairs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fs/store/repair.h"
#include "fs/store/store.h"
#include "tools/check_inventory.h"

namespace gzipfs {

// One thread at a time. The stores stay locked until it goes.
class CheckRepair {
 public:
  using Say = std::function<void(const std::string& line)>;

  // `say` takes lines for people about what was done; it must outlive this.
  explicit CheckRepair(Say say) : say_(std::move(say)) {}

  // Locks every store that `inventory` has files of, and brings the redo logs
  // left in them into their files. The error is a sentence for people: nothing
  // was touched then, or nothing but logs.
  tl::expected<void, std::string> Begin(const CheckInventory& inventory, unsigned thread_count);
  // Repairs a file of the inventory, in its store or outside of any.
  Result<RepairResult> RepairPath(const std::string& path);
  // Completes what the process that had the stores last was appending to.
  tl::expected<void, std::string> End();

  // Files that recovery has put in order, and logs it moved aside.
  size_t corrected_count() const { return corrected_count_; }
  size_t left_count() const { return left_count_; }

 private:
  tl::expected<void, std::string> RecoverStore(const std::string& root, Store& store,
                                               bool completes_ends);

  Say say_;
  StoreRoots roots_;
  std::map<std::string, std::unique_ptr<Store>> stores_;  // by root
  size_t corrected_count_ = 0;
  size_t left_count_ = 0;
};

}  // namespace gzipfs
