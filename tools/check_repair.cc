// In a store a repair keeps what it cuts off in the quarantine, and works in
// the directory of images, which every mount clears; outside of any, beside the
// file.
#include "tools/check_repair.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "fs/store/recovery.h"
#include "tools/messages.h"

namespace gzipfs {
namespace {

// A name with something behind it must not be too long for a directory entry.
constexpr size_t kMaxKeptNameBytes = 200;

std::string KeptName(const std::string& name) {
  return name.substr(0, kMaxKeptNameBytes) + ".rest";
}

}  // namespace

tl::expected<void, std::string> CheckRepair::RecoverStore(const std::string& root, Store& store,
                                                          bool completes_ends) {
  RecoveryWatcher watcher;
  watcher.say = [&](const std::string& sentence) {
    say_(fmt::format("{}: {}", root, sentence));
  };
  const auto report =
      Recover(store, watcher, completes_ends ? TornEnds::kComplete : TornEnds::kLeave);
  if (!report) {
    return tl::unexpected(fmt::format("{}: its redo logs cannot be looked at: {}", root,
                                      Describe(report.error())));
  }
  corrected_count_ += report->recovered + report->quarantined + report->completed;
  if (!completes_ends) left_count_ += report->left;
  return {};
}

tl::expected<void, std::string> CheckRepair::Begin(const CheckInventory& inventory,
                                                   unsigned thread_count) {
  std::set<std::string> roots;
  for (const InventoryFile& file : inventory.files) {
    if (const auto root = roots_.Of(file.path)) roots.insert(*root);
  }
  for (const std::string& path : inventory.store_paths) {
    if (const auto root = roots_.Of(path)) roots.insert(*root);
  }
  StoreOptions options;
  options.thread_count = thread_count;
  for (const std::string& root : roots) {
    auto store = Store::Open(root, options, RealFileOps());
    if (!store) return tl::unexpected(store.error().message);
    stores_[root] = std::move(*store);
  }
  for (const auto& [root, store] : stores_) {
    if (auto recovered = RecoverStore(root, *store, false); !recovered) return recovered;
  }
  return {};
}

tl::expected<void, std::string> CheckRepair::End() {
  for (const auto& [root, store] : stores_) {
    if (auto recovered = RecoverStore(root, *store, true); !recovered) return recovered;
  }
  return {};
}

Result<RepairResult> CheckRepair::RepairPath(const std::string& path) {
  FileOps& ops = RealFileOps();
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) return Fail(error);
  const std::string dir_path = real.parent_path().string();
  const std::string name = real.filename().string();
  const Result<UniqueFd> dir =
      ops.OpenAt(AT_FDCWD, dir_path.c_str(), O_RDONLY | O_DIRECTORY, 0);
  if (!dir) return Fail(dir.error());
  RepairSite site{.ops = ops,
                  .dir_fd = dir->get(),
                  .name = name,
                  .kept_dir_fd = dir->get(),
                  .kept_name = KeptName(name),
                  .kept_path = dir_path,
                  .scratch_dir_fd = dir->get(),
                  .scratch_name = fmt::format(".gzipfs-repair-{}", getpid())};
  const std::optional<std::string> root = roots_.Of(path);
  if (!root) return RepairFile(site);
  const auto found = stores_.find(*root);
  if (found == stores_.end()) return RepairResult{RepairResult::Kind::kLeft, "its store is new"};
  Store& store = *found->second;
  const Result<struct stat> status = ops.StatAt(dir->get(), name.c_str());
  if (!status) return Fail(status.error());
  if (store.logs().Contains(status->st_ino)) {
    return RepairResult{RepairResult::Kind::kLeft, "its redo log has not been brought into it"};
  }
  const Result<UniqueFd> kept_dir = store.OpenPrivateDir(kQuarantineDirName);
  if (!kept_dir) return Fail(kept_dir.error());
  site.kept_dir_fd = kept_dir->get();
  site.kept_path = fmt::format("{}/{}/{}", *root, kPrivateDirName, kQuarantineDirName);
  site.scratch_dir_fd = store.image_dir_fd();
  site.scratch_name = store.UniqueName();
  site.empty_profile = store.profile();
  site.empty_block_bytes = store.block_bytes();
  return RepairFile(site);
}

}  // namespace gzipfs
