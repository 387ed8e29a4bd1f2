// The store is opened as for a read-only mount.
#include "tools/export_waiting.h"

#include <vector>

#include "codec/base/units.h"
#include "fs/store/content.h"
#include "fs/store/recovery.h"
#include "fs/sys/process.h"
#include "fs/sys/stream.h"
#include "tools/messages.h"
#include "tools/new_file.h"
#include "tools/pack_stream.h"

namespace gzipfs {
namespace {

constexpr size_t kReadBytes = 4 * kMiB;

tl::unexpected<std::string> BecauseOfLog(std::error_code error) {
  return tl::unexpected("has changes in a redo log: " + Describe(error));
}

// Of a file that is only read.
class ReadPlace final : public BasePlace {
 public:
  explicit ReadPlace(const std::string& path) : path_(path) {}
  Result<void> WithPlace(
      const std::function<Result<void>(int dir_fd, const char* name)>&) override {
    return Fail(EROFS);
  }
  bool HasName() override { return true; }
  std::string Describe() const override { return path_; }
  void BaseReplaced(const struct stat&) override {}

 private:
  const std::string path_;
};

// Gives out the plain bytes from front to back.
class ContentReader {
 public:
  explicit ContentReader(Content& content) : content_(content) {}
  Result<size_t> Next(std::span<std::byte> out) {
    if (WasInterrupted()) return Fail(ECANCELED);
    const Result<size_t> count = content_.Read(plain_offset_, out);
    if (count) plain_offset_ += *count;
    return count;
  }

 private:
  Content& content_;
  uint64_t plain_offset_ = 0;
};

Result<void> WritePlain(ContentReader& reader, int out_fd) {
  std::vector<std::byte> buffer(kReadBytes);
  for (;;) {
    const Result<size_t> count = reader.Next(buffer);
    if (!count) return Fail(count.error());
    if (*count == 0) return {};
    GZIPFS_TRY(WriteStream(out_fd, std::span(buffer).first(*count)));
  }
}

}  // namespace

tl::expected<std::unique_ptr<WaitingFiles>, std::string> WaitingFiles::Open(
    const std::string& root, unsigned thread_count) {
  StoreOptions options;
  options.thread_count = thread_count;
  options.read_only = true;
  auto store = Store::Open(root, options, RealFileOps());
  if (!store && store.error().is_in_use) {
    return tl::unexpected<std::string>(
        "and its store is in use; let its mount settle ('gzipfs sync') and export again");
  }
  if (!store) return tl::unexpected("which cannot be read: " + store.error().message);
  const auto report = Recover(**store, RecoveryWatcher{});
  if (!report) return tl::unexpected("which cannot be read: " + Describe(report.error()));
  return std::unique_ptr<WaitingFiles>(new WaitingFiles(std::move(*store)));
}

tl::expected<void, std::string> WaitingFiles::Export(const std::string& path, int fd,
                                                     const ExportOptions& options,
                                                     const std::string& scratch_dir,
                                                     timespec& mtime, int out_fd) {
  FileOps& ops = RealFileOps();
  // Opened once more: its position and its end are not the caller's.
  Result<UniqueFd> base = ops.Duplicate(fd);
  if (!base) return BecauseOfLog(base.error());
  ReadPlace place(path);
  const auto content = OpenContent(*store_, std::move(*base), /*is_writable=*/false,
                                   /*is_new=*/false, place);
  if (!content) return BecauseOfLog(content.error());
  if (const auto newest = (*content)->pending_mtime()) mtime = *newest;
  ContentReader reader(**content);
  if (options.form == ExportForm::kPlain) {
    const Result<void> written = WritePlain(reader, out_fd);
    return written ? tl::expected<void, std::string>() : BecauseOfLog(written.error());
  }
  const Result<NewFile> scratch = NewFile::CreateInTree(scratch_dir);
  if (!scratch) return BecauseOfLog(scratch.error());
  PackStream pack(options.pool, PackOptions{});
  const auto packed =
      pack.Copy([&](std::span<std::byte> out) { return reader.Next(out); }, scratch->fd());
  if (!packed) return BecauseOfLog(packed.error().code);
  const Result<struct stat> status = ops.Stat(scratch->fd());
  if (!status) return BecauseOfLog(status.error());
  const FileSource source(ops, scratch->fd(), static_cast<uint64_t>(status->st_size));
  return ExportGzip(source, {.form = options.form, .pool = options.pool}, mtime.tv_sec, out_fd);
}

}  // namespace gzipfs
