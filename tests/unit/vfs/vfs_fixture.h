// A Vfs on a store of its own, used as the kernel would use it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fs/vfs/vfs.h"
#include "tests/unit/store/store_fixture.h"

namespace gzipfs::test {

inline constexpr Caller kRootCaller{.uid = 0, .gid = 0, .pid = 0};

// What an operation answered: 0, or its errno.
template <typename T>
int ErrorOf(const Result<T>& result) {
  return result ? 0 : ErrnoOf(result.error());
}

inline std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class VfsFixture : public ::testing::Test {
 protected:
  void SetUp() override { Mount(); }
  void TearDown() override { Unmount(); }

  void Mount(bool read_only = false, bool writeback = true) {
    auto store = Store::Open(
        dir_.path(), {.read_only = read_only, .level = 1, .thread_count = 2}, ops_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    vfs_ = std::make_unique<Vfs>(*store_);
    vfs_->UseWriteback(writeback);
  }
  void Unmount() {
    if (vfs_ && !store_->read_only()) {
      EXPECT_EQ(ErrorOf(vfs_->SettleAll()), 0);
    }
    vfs_.reset();
    store_.reset();
  }

  // The node of `path` below the root, or 0. Every part is looked up, as by a kernel
  // that has cached nothing.
  NodeId Node(const std::string& path) {
    NodeId node = kRootNodeId;
    for (const auto& part : std::filesystem::path(path)) {
      const auto entry = vfs_->Lookup(node, part.c_str());
      if (!entry) return 0;
      node = entry->node_id;
    }
    return node;
  }
  bool Exists(const std::string& path) { return Node(path) != 0; }
  struct stat Attr(const std::string& path) {
    const auto attr = vfs_->GetAttr(Node(path));
    EXPECT_TRUE(attr) << path;
    return attr.value_or((struct stat){});
  }

  FileHandle* Open(const std::string& path, int flags) {
    const auto opened = vfs_->Open(kRootCaller, Node(path), flags);
    EXPECT_TRUE(opened) << path << ": " << opened.error().message();
    return opened ? opened->handle : nullptr;
  }
  void Close(FileHandle* handle) {
    EXPECT_EQ(ErrorOf(vfs_->Flush(*handle)), 0);
    vfs_->Release(handle);
  }
  void Write(FileHandle* handle, uint64_t plain_offset, std::string_view text) {
    ASSERT_EQ(ErrorOf(vfs_->Write(&kRootCaller, *handle, plain_offset, BytesOf(text))), 0);
  }
  std::string Read(FileHandle* handle) {
    std::string text(1 << 20, '?');
    const auto count =
        vfs_->Read(*handle, 0, std::as_writable_bytes(std::span(text.data(), text.size())));
    EXPECT_TRUE(count);
    text.resize(count.value_or(0));
    return text;
  }

  // The error of creating, or 0; the new file has the bytes `text`.
  int TryMake(const std::string& name, std::string_view text, NodeId parent = kRootNodeId) {
    const auto created =
        vfs_->Create(kRootCaller, parent, name.c_str(), 0644, O_RDWR | O_CREAT | O_EXCL);
    if (!created) return ErrnoOf(created.error());
    Write(created->opened.handle, 0, text);
    Close(created->opened.handle);
    return 0;
  }
  void Make(const std::string& name, std::string_view text, NodeId parent = kRootNodeId) {
    ASSERT_EQ(TryMake(name, text, parent), 0) << name;
  }
  NodeId MakeDir(const std::string& name, NodeId parent = kRootNodeId) {
    const auto made = vfs_->MakeDirectory(kRootCaller, parent, name.c_str(), 0755);
    EXPECT_TRUE(made) << name;
    return made ? made->node_id : 0;
  }
  std::string Text(const std::string& path) {
    FileHandle* handle = Open(path, O_RDONLY);
    if (handle == nullptr) return "(cannot be opened)";
    std::string text = Read(handle);
    Close(handle);
    return text;
  }
  int Rename(const std::string& from, const std::string& to, unsigned flags = 0) {
    return ErrorOf(vfs_->Rename(kRootNodeId, from.c_str(), kRootNodeId, to.c_str(), flags));
  }
  int Unlink(const std::string& name) {
    return ErrorOf(vfs_->Unlink(kRootNodeId, name.c_str()));
  }

  // Mount names of a directory, sorted, without the dots.
  std::vector<std::string> List(NodeId node = kRootNodeId) {
    std::vector<std::string> names;
    const auto handle = vfs_->OpenDirectory(node);
    EXPECT_TRUE(handle);
    const EntrySink sink = [&](const ListedEntry& entry) {
      if (entry.name != "." && entry.name != "..") names.push_back(entry.name);
      return true;
    };
    EXPECT_EQ(ErrorOf(vfs_->ReadDirectory(**handle, 0, sink)), 0);
    vfs_->ReleaseDirectory(*handle);
    std::sort(names.begin(), names.end());
    return names;
  }

  // Behind the mount.
  std::string StorePath(const std::string& name) const { return dir_ / name; }
  void PutInStore(const std::string& name, std::string_view text) {
    WriteFile(StorePath(name), BytesOf(text));
  }
  bool IsInStore(const std::string& name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(StorePath(name)));
  }

  TempDir dir_;
  FaultOps ops_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Vfs> vfs_;
};

}  // namespace gzipfs::test
