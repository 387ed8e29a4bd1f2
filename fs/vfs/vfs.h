// The file operations of a mount, apart from FUSE.
//
// Each operation takes node ids, names and handles as the kernel gave them and
// answers a value or an error. What is where:
//
//   ops_lookup.cc   lookup, forget, getattr
//   ops_attr.cc     setattr
//   ops_make.cc     create, mknod, mkdir, symlink
//   ops_link.cc     link
//   ops_remove.cc   unlink, rmdir
//   ops_rename.cc   rename
//   ops_file.cc     open, read, write, flush, release, fsync, fallocate, lseek
//   ops_copy.cc     copy_file_range
//   ops_dir.cc      opendir, readdir, readdirplus, releasedir, fsyncdir
//   ops_xattr.cc    readlink, extended attributes
//   vfs.cc          statfs, settling, counts
//
// Lock order: DirHandle -> Inode::place_mutex (lower node id first) ->
// NameSpace::lock -> OpenFileTable -> InodeTable. A Content is never called
// with any of these held, but for IsSettled; it calls back through BasePlace,
// which takes the second and third.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "fs/store/store.h"
#include "fs/sys/credentials.h"
#include "fs/vfs/attr.h"
#include "fs/vfs/base_view.h"
#include "fs/vfs/handles.h"
#include "fs/vfs/name_space.h"
#include "fs/vfs/open_file_table.h"

namespace gzipfs {

// An inode the kernel now knows once more, by one lookup.
struct Entry {
  NodeId node_id;
  struct stat attr;
};

struct Opened {
  FileHandle* handle;
  bool keeps_pages;  // the kernel may go on using what it has cached
};

struct Created {
  Entry entry;
  Opened opened;
};

// One entry of a directory on its way to the kernel. `node_id` is 0 when it
// was not looked up; then only st_ino and the type in st_mode are set.
struct ListedEntry {
  const std::string& name;
  NodeId node_id;
  struct stat attr;
  int64_t next_position;
};
// Takes an entry; false when it does not fit any more.
using EntrySink = std::function<bool(const ListedEntry&)>;

// Counts for people.
struct VfsCounts {
  uint64_t dirty_bytes;
  uint64_t open_files;
  uint64_t known_inodes;
  uint64_t unsettled_files;
};

// Thread-safe. The store outlives it. Destroying it closes what is open and
// settles nothing: SettleAll comes before.
class Vfs {
 public:
  explicit Vfs(Store& store);
  ~Vfs() = default;
  Vfs(const Vfs&) = delete;
  Vfs& operator=(const Vfs&) = delete;

  // The kernel keeps size and times of files it writes back. Called before
  // the first operation.
  void UseWriteback(bool writeback) {
    writeback_ = writeback;
    files_.UseWriteback(writeback);
  }

  // Whether files of the store may have POSIX ACLs.
  bool has_acls() const { return has_acls_; }

  // Who is told, with no lock held, of an inode whose attributes changed by
  // something that the kernel does not expect to change them.
  void TellAttrChanged(std::function<void(NodeId)> tell) { tell_attr_changed_ = std::move(tell); }
  // Likewise of one whose bytes did, by a GetAttr that finds it out.
  void TellPagesChanged(std::function<void(NodeId)> tell) {
    tell_pages_changed_ = std::move(tell);
  }

  bool is_read_only() const { return store_.read_only(); }

  Result<Entry> Lookup(NodeId parent_id, const char* name);
  void Forget(NodeId id, uint64_t count) { inodes().Forget(id, count); }
  Result<struct stat> GetAttr(NodeId id);
  // `handle` may be null.
  Result<struct stat> SetAttr(const Caller& caller, NodeId id, const AttrChanges& changes,
                              FileHandle* handle);

  // What is new inherits the default ACL of its directory; where that has none,
  // the caller's umask applies to `mode`.
  Result<Created> Create(const Caller& caller, NodeId parent_id, const char* name, mode_t mode,
                         int flags);
  Result<Entry> MakeNode(const Caller& caller, NodeId parent_id, const char* name, mode_t mode,
                         dev_t device);
  Result<Entry> MakeDirectory(const Caller& caller, NodeId parent_id, const char* name,
                              mode_t mode);
  Result<Entry> MakeSymlink(const Caller& caller, NodeId parent_id, const char* name,
                            const char* target);
  Result<Entry> Link(NodeId id, NodeId new_parent_id, const char* new_name);

  Result<void> Unlink(NodeId parent_id, const char* name);
  Result<void> RemoveDirectory(NodeId parent_id, const char* name);
  // `flags`: RENAME_NOREPLACE or RENAME_EXCHANGE of renameat2(2).
  Result<void> Rename(NodeId parent_id, const char* name, NodeId new_parent_id,
                      const char* new_name, unsigned flags);

  // Open (with O_TRUNC), Write, Allocate, and SetAttr of the size drop the
  // set-id bits of a file when an ordinary user calls them; SetAttr of the owner
  // does for everybody.
  Result<Opened> Open(const Caller& caller, NodeId id, int flags);
  // The handle is gone after Release.
  void Release(FileHandle* handle);
  Result<size_t> Read(FileHandle& handle, uint64_t plain_offset, std::span<std::byte> out);
  // `caller` is null when the kernel writes back cached pages: through any
  // handle, for nobody.
  Result<void> Write(const Caller* caller, FileHandle& handle, uint64_t plain_offset,
                     std::span<const std::byte> bytes);
  Result<void> Flush(FileHandle& handle);
  Result<void> Sync(FileHandle& handle, bool data_only);
  // `mode`: the flags of fallocate(2); EOPNOTSUPP for those that move bytes.
  Result<void> Allocate(const Caller& caller, FileHandle& handle, int mode, uint64_t plain_offset,
                        uint64_t byte_count);

  // lseek(2) with SEEK_DATA or SEEK_HOLE, by what has been written to the Vfs. While
  // MayHaveUnwritten, the kernel may have more.
  Result<uint64_t> Seek(FileHandle& handle, uint64_t plain_offset, int whence);
  // Where the file of `handle`, which may write, ends. Nothing for a raw file, and when it
  // may be written through mapped memory: by way of this handle or another one.
  std::optional<uint64_t> EndIfUnmapped(const FileHandle& handle) const;
  // Whether somebody has the file of `handle` open for writing: who closes a file has
  // the kernel hand over everything first.
  bool MayHaveUnwritten(const FileHandle& handle) const { return handle.file->has_writers(); }

  // copy_file_range(2), for up to `byte_count` bytes: fewer when the source ends, and
  // as often as that is convenient. Between files in gzip form members are copied as
  // they are where they fit. The kernel has checked that the ranges do not overlap.
  Result<uint64_t> CopyRange(const Caller& caller, FileHandle& source, uint64_t source_offset,
                             FileHandle& target, uint64_t target_offset, uint64_t byte_count);

  Result<DirHandle*> OpenDirectory(NodeId id);
  void ReleaseDirectory(DirHandle* handle) { (void)dir_handles_.Remove(handle); }
  // Gives entries from `position` on to `sink` until one does not fit. Of the
  // Plus kind, with their attributes, each taken one looked up once more.
  Result<void> ReadDirectory(DirHandle& handle, int64_t position, const EntrySink& sink);
  Result<void> ReadDirectoryPlus(DirHandle& handle, int64_t position, const EntrySink& sink);
  Result<void> SyncDirectory(DirHandle& handle);

  Result<std::string> ReadLink(NodeId id);
  // An access ACL also sets the mode, and drops the set-group-id bit for callers
  // who are neither root nor in the file's group, as chmod(2) does.
  Result<void> SetXattr(const Caller& caller, NodeId id, const char* name,
                        std::span<const std::byte> value, int flags);
  Result<std::vector<std::byte>> GetXattr(NodeId id, const char* name);
  Result<std::string> ListXattrs(NodeId id);
  Result<void> RemoveXattr(NodeId id, const char* name);

  Result<struct statvfs> StatFilesystem();
  // Brings everything into the store, durably; the first error. Once the store is
  // hurried: ECANCELED when everything is in bases or logs, but not all in bases.
  Result<void> SettleAll();
  VfsCounts Counts() const;
  // The files that are open now, or not settled.
  std::vector<NodeId> OpenFileIds() const { return files_.OpenIds(); }

 private:
  // A file made in the store just now.
  struct MadeFile {
    InodeRef inode;
    std::string store_name;
    UniqueFd fd;
    struct stat base;
  };
  // An entry and, when it is known, its inode.
  struct FoundEntry {
    BaseName base;
    InodeRef inode;
  };

  InodeTable& inodes() { return names_.inodes(); }
  FileOps& ops() { return store_.ops(); }

  // ops_lookup.cc
  Result<Entry> LookupIn(const InodeRef& parent, const std::string& name);
  Result<Entry> LookupOnce(const InodeRef& parent, const std::string& name);
  bool DisplaceIfStale(const InodeRef& inode);
  bool HasItsPlace(const InodeRef& inode);
  InodeRef EnterFound(const InodeRef& parent, DirectoryView& directory, BaseName& found)
      REQUIRES_SHARED(names_.lock);
  Result<Entry> EntryOf(const InodeRef& inode, const struct stat& base, UniqueFd fd);
  Result<struct stat> AttrOf(const InodeRef& inode);
  Result<struct stat> StatOpenBase(const OpenFile& file);
  Result<struct stat> AttrOfOpen(OpenFile& file);
  Result<struct stat> AttrFrom(const InodeRef& inode, const struct stat& base, UniqueFd fd);
  Result<uint64_t> PlainBytesOf(const InodeRef& inode, const struct stat& base, UniqueFd fd);
  Result<uint64_t> ReadPlainBytes(const InodeRef& inode, int fd, struct stat base);
  Result<FoundEntry> FindEntry(const InodeRef& parent, const std::string& name)
      REQUIRES_SHARED(names_.lock);
  bool IsHidden(const InodeRef& parent, std::string_view name) const {
    return names_.IsReserved(parent, name);
  }

  // ops_attr.cc
  Result<void> ChangeBase(const InodeRef& inode,
                          const std::function<Result<void>(int fd)>& change);
  Result<bool> ChangeClosedBase(const InodeRef& inode, bool must_be_closed,
                                const std::function<Result<void>(int fd)>& change);
  Result<void> ChangeInodeOwner(const Caller& caller, const InodeRef& inode,
                                const AttrChanges& changes);
  Result<void> ChangeSize(const Caller& caller, const InodeRef& inode, uint64_t plain_bytes,
                          FileHandle* handle);
  Result<void> ChangeInodeTimes(const InodeRef& inode, const AttrChanges& changes);
  bool HasLastTime(const InodeRef& inode, const timespec& mtime);

  // ops_make.cc
  Result<InodeRef> ParentForNew(NodeId parent_id, std::string_view name);
  Result<void> CheckFree(DirectoryView& directory, const std::string& name,
                         const std::string& store_name);
  mode_t ModeOfNew(const Caller& caller, int dir_fd, mode_t mode);
  Result<MadeFile> MakeGzipFile(const Caller& caller, const InodeRef& parent,
                                const std::string& name, mode_t mode);
  void UndoMakeFile(const InodeRef& parent, const MadeFile& made);
  Result<Entry> MakeNamed(const Caller& caller, NodeId parent_id, const std::string& name,
                          mode_t mode,
                          const std::function<Result<void>(int dir_fd, mode_t new_mode)>& make);

  // ops_link.cc
  Result<void> LinkInode(const InodeRef& inode, const InodeRef& parent, const std::string& name);
  Result<void> CheckStaysRaw(const struct stat& base, std::string_view new_store_name,
                             const std::function<Result<UniqueFd>()>& opener);

  // ops_remove.cc
  Result<void> RemoveEntry(NodeId parent_id, const char* name, bool is_directory);
  Result<bool> RemoveFound(const InodeRef& parent, FoundEntry& found, int flags);
  Result<void> RemoveAt(const InodeRef& parent, const DirFd& dir, const FoundEntry& found,
                        int flags) REQUIRES_SHARED(names_.lock);
  std::shared_ptr<const UniqueFd> PinBeforeRemoval(const InodeRef& inode, int dir_fd,
                                                   const std::string& store_name);
  Result<bool> IsStill(int dir_fd, BaseName& base);

  // ops_rename.cc
  struct RenamePlan;
  Result<RenamePlan> PlanRename(const InodeRef& parent, const std::string& name,
                                const InodeRef& new_parent, const std::string& new_name,
                                unsigned flags);
  Result<void> ChooseStoreNames(RenamePlan& plan, const std::string& name,
                                const std::string& new_name);
  Result<void> CheckExchange(const RenamePlan& plan);
  Result<bool> CarryOut(RenamePlan& plan);
  Result<void> RenameInStore(const RenamePlan& plan, unsigned flags);
  void NoteRenamed(const RenamePlan& plan);
  void NoteReplaced(const FoundEntry& target, const InodeRef& parent);

  // ops_file.cc
  Result<void> NoteModification(Content& content);
  Result<void> Truncate(OpenFile& file, uint64_t plain_bytes);
  Result<void> WriteRaw(int fd, uint64_t plain_offset, std::span<const std::byte> bytes,
                        bool appends);
  Result<void> DropSetIds(const Caller& caller, const OpenFile& file);
  Opened MakeHandle(OpenedFile opened, int flags);

  // ops_copy.cc
  Result<uint64_t> CopyRaw(int source_fd, uint64_t source_offset, OpenFile& target,
                           uint64_t target_offset, uint64_t byte_count);
  Result<std::error_code> CopyRawStep(int source_fd, uint64_t source_offset, OpenFile& target,
                                      uint64_t target_offset, uint64_t byte_count);
  Result<uint64_t> CopyBytes(FileHandle& source, uint64_t source_offset, FileHandle& target,
                             uint64_t target_offset, uint64_t byte_count);

  // ops_dir.cc
  struct ShownEntry {
    std::string mount_name;
    BaseName base;
  };
  Result<std::optional<ShownEntry>> ShowEntry(DirectoryView& directory,
                                              const DirectoryEntry& entry);
  Result<void> ReadEntries(DirHandle& handle, int64_t position, const EntrySink& sink,
                           bool with_attr) EXCLUDES(handle.mutex);
  Result<bool> GiveEntry(DirHandle& handle, const DirectoryEntry& entry, const EntrySink& sink)
      REQUIRES(handle.mutex);
  Result<bool> GiveEntryPlus(DirHandle& handle, const DirectoryEntry& entry,
                             const EntrySink& sink) REQUIRES(handle.mutex);

  // ops_xattr.cc
  Result<void> ReadBase(const InodeRef& inode, const std::function<Result<void>(int fd)>& action);
  Result<std::vector<std::byte>> ReadXattr(const InodeRef& inode, const char* name);
  Result<std::vector<std::byte>> ReadCapability(const InodeRef& inode);

  Store& store_;
  const bool has_acls_;
  bool writeback_ = true;
  std::function<void(NodeId)> tell_attr_changed_ = [](NodeId) {};
  std::function<void(NodeId)> tell_pages_changed_ = [](NodeId) {};
  NameSpace names_;
  OpenFileTable files_;
  HandleSet<FileHandle> file_handles_;  // after files_: handles go first
  HandleSet<DirHandle> dir_handles_;
};

}  // namespace gzipfs
