// Calls that change something run one at a time, so that the record has them
// in the order in which they took effect.
#include "tests/crash/sim_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "fs/sys/process.h"
#include "tests/unit/temp_dir.h"

namespace gzipfs::crash {
namespace {

constexpr const char* kDirs[] = {"", ".gzipfs/log/", ".gzipfs/image/", ".gzipfs/quarantine/"};
constexpr uint64_t kFirstIno = 11;

ino_t RealInoOf(const std::string& path) {
  struct stat attributes{};
  EXPECT_EQ(::lstat(path.c_str(), &attributes), 0) << path;
  return attributes.st_ino;
}

Buffer ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Buffer bytes(std::filesystem::file_size(path));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

ino_t RealInoOf(int fd) {
  struct stat attributes{};
  return ::fstat(fd, &attributes) == 0 ? attributes.st_ino : 0;
}

// The real numbers of what this process has open. By name: a descriptor may be closed by
// another thread meanwhile, by whoever lets go of a file last.
std::set<ino_t> OpenInos() {
  std::set<ino_t> inos;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    struct stat attributes{};
    if (::stat(entry.path().c_str(), &attributes) == 0) inos.insert(attributes.st_ino);
  }
  return inos;
}

}  // namespace

ScratchDir::ScratchDir() {
  static const bool has_memory = ::access("/dev/shm", W_OK) == 0;
  const std::string parent =
      has_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string();
  path_ = parent + "/gzipfs_crash.XXXXXX";
  EXPECT_NE(::mkdtemp(path_.data()), nullptr);
}

ScratchDir::~ScratchDir() { std::filesystem::remove_all(path_); }

SimDisk::SimDisk() {
  for (const char* dir : kDirs) {
    const std::string full = path() + "/" + dir;
    std::filesystem::create_directories(full);
    dirs_[RealInoOf(full + ".")] = dir;
  }
}

SimDisk::SimDisk(const DiskState& state) : SimDisk() {
  const std::string boot_id = state.lost_power ? "another" : BootId();
  test::WriteFile(path() + "/.gzipfs/lock", test::FromText("1         \nboot " + boot_id + "\n"));
  for (const auto& [name, file] : state.names) {
    const std::string full = path() + "/" + name;
    if (real_of_.contains(file)) {
      std::filesystem::create_hard_link(path() + "/" + NameOf(file), full);
    } else {
      const DiskFile& from = state.files.at(file);
      test::WriteFile(full, *from.bytes);
      const ino_t real_ino = RealInoOf(full);
      file_of_[real_ino] = file;
      number_of_[real_ino] = from.ino;
      real_of_[file] = real_ino;
      next_file_ = std::max(next_file_, file + 1);
    }
    names_[name] = file;
  }
  begin_ = state;
}

void SimDisk::Put(const std::string& path, std::span<const std::byte> bytes) {
  const std::string full = this->path() + "/" + path;
  test::WriteFile(full, bytes);
  names_[path] = AddFile(RealInoOf(full), NewIno());
}

void SimDisk::BeginRecord() {
  begin_ = Now();
  ops_.clear();
}

size_t SimDisk::op_count() const {
  const std::lock_guard lock(mutex_);
  return ops_.size();
}

DiskState SimDisk::Now() const {
  DiskState state;
  state.names = names_;
  for (const auto& [name, file] : names_) {
    state.files[file] = {number_of_.at(real_of_.at(file)),
                         std::make_shared<Buffer>(ReadWhole(path() + "/" + name))};
  }
  return state;
}

// --- What is recorded, and under which name -----------------------------------

FileId SimDisk::FileOf(int fd) const {
  const auto found = file_of_.find(RealInoOf(fd));
  return found == file_of_.end() ? -1 : found->second;
}

FileId SimDisk::FileAt(const std::string& path) const {
  const auto found = names_.find(path);
  return found == names_.end() ? -1 : found->second;
}

std::string SimDisk::NameOf(FileId file) const {
  for (const auto& [name, named] : names_) {
    if (named == file) return name;
  }
  return "";
}

std::string SimDisk::PathOf(int dir_fd, const char* name) const {
  if (name[0] == '/' || std::string_view(name) == ".") return "";
  const auto dir = dirs_.find(RealInoOf(dir_fd));
  if (dir == dirs_.end()) return "";
  return dir->second + name;
}

FileId SimDisk::AddFile(ino_t real_ino, uint64_t ino) {
  const FileId file = next_file_++;
  file_of_[real_ino] = file;
  number_of_[real_ino] = ino;
  real_of_[file] = real_ino;
  return file;
}

// The lowest that no file has which has a name or is open.
uint64_t SimDisk::NewIno() const {
  std::set<uint64_t> used;
  for (const auto& [name, file] : names_) used.insert(number_of_.at(real_of_.at(file)));
  for (const ino_t real_ino : OpenInos()) {
    const auto number = number_of_.find(real_ino);
    if (number != number_of_.end()) used.insert(number->second);
  }
  uint64_t ino = kFirstIno;
  while (used.contains(ino)) ++ino;
  return ino;
}

void SimDisk::Number(struct stat& attributes) const {
  const auto found = number_of_.find(attributes.st_ino);
  if (S_ISREG(attributes.st_mode) && found != number_of_.end()) attributes.st_ino = found->second;
}

void SimDisk::Record(DiskOp op) { ops_.push_back(std::move(op)); }

int SimDisk::Enter(Call call, int fd) {
  if (!before) return 0;
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    name = NameOf(FileOf(fd));
    if (const auto dir = dirs_.find(RealInoOf(fd)); dir != dirs_.end()) name = dir->second;
  }
  return before(call, name);
}

// --- The calls -----------------------------------------------------------------

Result<UniqueFd> SimDisk::OpenAt(int dir_fd, const char* path, int flags, mode_t mode) {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    name = PathOf(dir_fd, path);
  }
  if (const int error = Enter(Call::kOpen, name)) return Fail(error);
  const std::lock_guard lock(mutex_);
  const bool is_nameless = (flags & O_TMPFILE) == O_TMPFILE;
  const bool is_new = is_nameless || ((flags & O_CREAT) && !name.empty() && FileAt(name) < 0);
  EXPECT_FALSE((flags & O_TRUNC) && !name.empty()) << "not recorded";
  const uint64_t ino = is_new ? NewIno() : 0;
  Result<UniqueFd> fd = real_.OpenAt(dir_fd, path, flags, mode);
  // Where numbers are used again, this one may have been a recorded file's.
  if (fd && name.empty() && (flags & O_CREAT)) file_of_.erase(RealInoOf(fd->get()));
  if (!fd || !is_new) return fd;
  const ino_t real_ino = RealInoOf(fd->get());
  const FileId file = AddFile(real_ino, ino);
  if (is_nameless) {
    file_of_[real_ino] = -1;
  } else {
    names_[name] = file;
    Record({.kind = DiskOp::Kind::kCreate, .file = file, .path = name, .ino = ino});
  }
  return fd;
}

Result<size_t> SimDisk::ReadAt(int fd, uint64_t offset, std::span<std::byte> out) {
  if (const int error = Enter(Call::kRead, fd)) return Fail(error);
  return real_.ReadAt(fd, offset, out);
}

Result<void> SimDisk::Write(int fd, uint64_t offset, Buffer bytes, Call call) {
  const int error = Enter(call, fd);
  const std::lock_guard lock(mutex_);
  if (error) bytes.resize(bytes.size() / 2);
  if (bytes.empty()) return error ? Fail(error) : Result<void>();
  GZIPFS_TRY(real_.WriteAt(fd, offset, bytes));
  if (const FileId file = FileOf(fd); file >= 0) {
    Record({.kind = DiskOp::Kind::kWrite,
            .file = file,
            .path = NameOf(file),
            .offset = offset,
            .bytes = std::make_shared<const Buffer>(std::move(bytes))});
  }
  return error ? Fail(error) : Result<void>();
}

Result<void> SimDisk::WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes) {
  return Write(fd, offset, Buffer(bytes.begin(), bytes.end()), Call::kWrite);
}

Result<void> SimDisk::WriteVectorAt(int fd, uint64_t offset, std::span<iovec> parts) {
  Buffer bytes;
  for (const iovec& part : parts) {
    test::Append(&bytes, std::span(static_cast<const std::byte*>(part.iov_base), part.iov_len));
  }
  return Write(fd, offset, std::move(bytes), Call::kWrite);
}

Result<void> SimDisk::CopyRange(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                                uint64_t byte_count) {
  Buffer bytes(byte_count);
  const auto count = real_.ReadAt(from_fd, from_offset, bytes);
  if (!count) return Fail(count.error());
  if (*count < byte_count) return Fail(EIO);
  return Write(to_fd, to_offset, std::move(bytes), Call::kCopy);
}

Result<void> SimDisk::Truncate(int fd, uint64_t byte_count) {
  if (const int error = Enter(Call::kTruncate, fd)) return Fail(error);
  const std::lock_guard lock(mutex_);
  GZIPFS_TRY(real_.Truncate(fd, byte_count));
  if (const FileId file = FileOf(fd); file >= 0) {
    Record({.kind = DiskOp::Kind::kTruncate, .file = file, .path = NameOf(file),
            .offset = byte_count});
  }
  return {};
}

// Nothing to wait for: what would be durable is told by the record.
Result<void> SimDisk::Sync(int fd, Call call) {
  if (const int error = Enter(call, fd)) return Fail(error);
  const std::lock_guard lock(mutex_);
  if (const auto dir = dirs_.find(RealInoOf(fd)); dir != dirs_.end()) {
    Record({.kind = DiskOp::Kind::kSyncDir, .path = dir->second});
  } else if (const FileId file = FileOf(fd); file >= 0) {
    Record({.kind = DiskOp::Kind::kSyncFile, .file = file, .path = NameOf(file)});
  }
  return {};
}

Result<struct stat> SimDisk::Stat(int fd) {
  if (const int error = Enter(Call::kStat, fd)) return Fail(error);
  Result<struct stat> attributes = real_.Stat(fd);
  const std::lock_guard lock(mutex_);
  if (attributes) Number(*attributes);
  return attributes;
}

Result<struct stat> SimDisk::StatAt(int dir_fd, const char* path) {
  if (const int error = Enter(Call::kStat, std::string(path))) return Fail(error);
  Result<struct stat> attributes = real_.StatAt(dir_fd, path);
  const std::lock_guard lock(mutex_);
  if (attributes) Number(*attributes);
  return attributes;
}

Result<void> SimDisk::SetTimes(int fd, const timespec times[2]) {
  if (const int error = Enter(Call::kSetTimes, fd)) return Fail(error);
  return real_.SetTimes(fd, times);
}

Result<void> SimDisk::SetOwner(int fd, uid_t uid, gid_t gid) {
  if (const int error = Enter(Call::kSetOwner, fd)) return Fail(error);
  return real_.SetOwner(fd, uid, gid);
}

Result<void> SimDisk::SetMode(int fd, mode_t mode) {
  if (const int error = Enter(Call::kSetMode, fd)) return Fail(error);
  return real_.SetMode(fd, mode);
}

Result<void> SimDisk::CopyAttributes(int from_fd, int to_fd) {
  if (const int error = Enter(Call::kCopyAttributes, to_fd)) return Fail(error);
  return real_.CopyAttributes(from_fd, to_fd);
}

Result<void> SimDisk::LinkAt(int dir_fd, const char* from, const char* to) {
  const std::lock_guard lock(mutex_);
  if (::linkat(dir_fd, from, dir_fd, to, 0) != 0) return Fail(errno);
  const FileId file = FileAt(PathOf(dir_fd, from));
  names_[PathOf(dir_fd, to)] = file;
  Record({.kind = DiskOp::Kind::kLink, .file = file, .path = PathOf(dir_fd, to)});
  return {};
}

Result<void> SimDisk::RenameAt(int from_dir_fd, const char* from, int to_dir_fd, const char* to,
                               unsigned flags) {
  std::string old_name, new_name;
  {
    const std::lock_guard lock(mutex_);
    old_name = PathOf(from_dir_fd, from);
    new_name = PathOf(to_dir_fd, to);
  }
  if (const int error = Enter(Call::kRename, new_name)) return Fail(error);
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(flags, 0u) << "not recorded";
  GZIPFS_TRY(real_.RenameAt(from_dir_fd, from, to_dir_fd, to, flags));
  const FileId file = FileAt(old_name);
  if (file < 0) return {};
  names_.erase(old_name);
  names_[new_name] = file;
  Record({.kind = DiskOp::Kind::kRename, .file = file, .path = new_name, .from = old_name});
  return {};
}

Result<void> SimDisk::UnlinkAt(int dir_fd, const char* path, int flags) {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    name = PathOf(dir_fd, path);
  }
  if (const int error = Enter(Call::kUnlink, name)) return Fail(error);
  const std::lock_guard lock(mutex_);
  GZIPFS_TRY(real_.UnlinkAt(dir_fd, path, flags));
  const FileId file = FileAt(name);
  if (file < 0) return {};
  names_.erase(name);
  Record({.kind = DiskOp::Kind::kUnlink, .file = file, .path = name});
  return {};
}

Result<std::vector<DirectoryItem>> SimDisk::List(int dir_fd) {
  if (const int error = Enter(Call::kList, dir_fd)) return Fail(error);
  auto items = real_.List(dir_fd);
  if (!items) return items;
  const std::lock_guard lock(mutex_);
  for (DirectoryItem& item : *items) {
    const auto number = number_of_.find(item.ino);
    if (item.type == DT_REG && number != number_of_.end()) item.ino = number->second;
  }
  return items;
}

}  // namespace gzipfs::crash
