// The CRC-32 that is compared is of the bytes as they were read from the source,
// before any compressor saw them.
#include "tools/import_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "codec/member_index.h"
#include "fs/sys/at.h"
#include "fs/sys/file_lock.h"
#include "fs/sys/file_ops.h"
#include "fs/sys/process.h"
#include "fs/sys/stream.h"
#include "tools/decoded_reader.h"
#include "tools/messages.h"
#include "tools/new_file.h"
#include "tools/tail_size.h"
#include "tools/tree.h"
#include "tools/tree_place.h"

namespace gzipfs {
namespace {

using Clause = tl::expected<void, std::string>;
using Outcome = tl::expected<ImportResult, std::string>;

tl::unexpected<std::string> Say(std::string clause) {
  return tl::unexpected<std::string>(std::move(clause));
}
tl::unexpected<std::string> SayWhy(std::string_view what, std::error_code error) {
  return Say(fmt::format("{}: {}", what, Describe(error)));
}

bool IsSameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}
bool IsSameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         IsSameTime(a.st_mtim, b.st_mtim);
}

constexpr char kChanged[] = "changed while it was imported; left alone";

class FileImport {
 public:
  FileImport(const ImportJob& job, const ImportOptions& options,
             std::atomic<uint64_t>& done_bytes)
      : job_(job), options_(options), done_bytes_(done_bytes) {}

  Outcome Run();

 private:
  bool IsConverted() const {
    return job_.kind == ImportKind::kPlain || job_.kind == ImportKind::kForeign;
  }
  // A foreign file in the store: its target has its name.
  bool ReplacesSource() const {
    return options_.is_in_place && job_.kind == ImportKind::kForeign;
  }
  Clause Open();
  tl::expected<bool, std::string> IsDoneBefore();
  Clause Write(int out_fd);
  Clause CopyBytes(int out_fd);
  Clause Verify(int out_fd);
  Clause CheckUnchanged() const;
  Clause Place(NewFile& out);
  Clause AddNames();
  Clause SyncTargets();
  Clause RemoveSources();
  PlainReader Reader();

  const ImportJob& job_;
  const ImportOptions& options_;
  std::atomic<uint64_t>& done_bytes_;
  UniqueFd source_fd_;
  struct stat before_ {};
  std::optional<FileSource> gzip_source_;
  std::optional<DecodedReader> decoded_;
  ImportResult result_;
  uint32_t crc_ = 0;
};

Clause FileImport::Open() {
  Result<UniqueFd> fd = OpenInTree(job_.sources[0], O_RDONLY | O_NONBLOCK);
  if (!fd) return Say(Describe(fd.error()));
  source_fd_ = std::move(*fd);
  const Result<struct stat> status = RealFileOps().Stat(source_fd_.get());
  if (!status) return Say(Describe(status.error()));
  before_ = *status;
  if (before_.st_dev != job_.status.st_dev || before_.st_ino != job_.status.st_ino)
    return Say(kChanged);
  if (options_.is_in_place && before_.st_nlink > job_.sources.size())
    return Say(fmt::format("has {} more name{} outside of what is imported; left alone",
                           before_.st_nlink - job_.sources.size(),
                           before_.st_nlink - job_.sources.size() == 1 ? "" : "s"));
  if (HasWriter(source_fd_.get())) return Say("is open for writing; left alone");
  if (options_.is_in_place && !options_.is_dry) {
    // Of two that would replace or remove it one goes on. Where there are no locks
    // (NFS wants to write for this one) the looks before each step are all there is.
    const Result<void> locked = TryLockFile(source_fd_.get(), LockKind::kExclusive);
    if (!locked && locked.error().value() == EWOULDBLOCK)
      return Say("is imported by another process, or locked by one; left alone");
    if (Clause unchanged = CheckUnchanged(); !unchanged) return unchanged;
  }
  result_.source_bytes = static_cast<uint64_t>(before_.st_size);
  return {};
}

// A target of an earlier run: in our format, with the source's time and bytes. Any
// other file of that name is a collision.
tl::expected<bool, std::string> FileImport::IsDoneBefore() {
  const std::string& target = job_.targets[0];
  const Result<UniqueFd> fd = OpenInTree(target, O_RDONLY | O_NONBLOCK);
  if (!fd && fd.error().value() == ENOENT) return false;
  const auto collision = Say(fmt::format("{} is there, too; both left alone", target));
  if (!fd) return collision;
  const Result<struct stat> status = RealFileOps().Stat(fd->get());
  const bool fits = status && S_ISREG(status->st_mode);
  if (!fits || !IsSameTime(status->st_mtim, before_.st_mtim)) return collision;
  const auto file_bytes = static_cast<uint64_t>(status->st_size);
  result_.stored_bytes = file_bytes;
  std::optional<uint64_t> told_bytes = file_bytes;
  std::optional<uint64_t> source_bytes = result_.source_bytes;
  if (job_.kind != ImportKind::kRaw) told_bytes = TailPlainBytes(fd->get(), file_bytes);
  // Recovery of the store may have put a tail behind what was copied as it is.
  if (job_.kind == ImportKind::kOurs)
    source_bytes = TailPlainBytes(source_fd_.get(), result_.source_bytes);
  if (!told_bytes) return collision;
  if (job_.kind != ImportKind::kForeign && told_bytes != source_bytes) return collision;
  if (!options_.is_in_place && job_.kind != ImportKind::kForeign) {
    // Nothing is removed on the word of this: size and time are enough.
    result_.plain_bytes = *told_bytes;
    done_bytes_ += result_.source_bytes;
    result_.kind = ImportResult::Kind::kDoneBefore;
    return true;
  }
  const PlainReader next_plain = Reader();
  std::vector<std::byte> buffer(kMiB);
  for (size_t count = buffer.size(); count == buffer.size();) {
    const Result<size_t> read_bytes = next_plain(buffer);
    if (!read_bytes) return Say(Describe(read_bytes.error()));
    count = *read_bytes;
    crc_ = Crc32(crc_, std::span(buffer).first(count));
    result_.plain_bytes += count;
  }
  // The source may go on the word of this, and nobody knows whether that one was synced.
  if (const Result<void> synced = RealFileOps().SyncAll(fd->get()); !synced)
    return SayWhy(target, synced.error());
  const Result<bool> is_same =
      ReadsBack(fd->get(), file_bytes, options_.pool, crc_, result_.plain_bytes);
  if (!is_same || !*is_same) return collision;
  result_.kind = ImportResult::Kind::kDoneBefore;
  return true;
}

PlainReader FileImport::Reader() {
  if (job_.kind == ImportKind::kForeign) {
    gzip_source_.emplace(RealFileOps(), source_fd_.get(), result_.source_bytes);
    decoded_.emplace(*gzip_source_, options_.pool, done_bytes_);
    return [this](std::span<std::byte> out) { return (*decoded_)(out); };
  }
  return [this, offset = uint64_t{0}](std::span<std::byte> out) mutable -> Result<size_t> {
    if (WasInterrupted()) return Fail(ECANCELED);
    Result<size_t> count = RealFileOps().ReadAt(source_fd_.get(), offset, out);
    if (count) {
      offset += *count;
      done_bytes_ += *count;
    }
    return count;
  };
}

Clause FileImport::Write(int out_fd) {
  if (!IsConverted()) return CopyBytes(out_fd);
  PackStream stream(options_.pool, options_.pack);
  const auto packed = stream.Copy(Reader(), out_fd);
  if (!packed) {
    const std::error_code code = packed.error().code;
    if (code == std::error_code(ECANCELED, std::system_category())) return Say("interrupted");
    if (packed.error().side == PackFailure::Side::kOutput)
      return SayWhy("cannot write " + job_.targets[0], code);
    return Say(Describe(code));
  }
  result_.plain_bytes = stream.index().plain_bytes();
  result_.stored_bytes = stream.index().file_bytes();
  crc_ = stream.plain_crc32();
  return {};
}

// As it is, with a CRC-32 of what was read.
Clause FileImport::CopyBytes(int out_fd) {
  const PlainReader next_bytes = Reader();
  std::vector<std::byte> buffer(kMiB);
  for (size_t count = buffer.size(); count == buffer.size();) {
    const Result<size_t> read_bytes = next_bytes(buffer);
    if (!read_bytes) return Say(Describe(read_bytes.error()));
    count = *read_bytes;
    const auto bytes = std::span(buffer).first(count);
    crc_ = Crc32(crc_, bytes);
    result_.stored_bytes += count;
    const Result<void> written = WriteStream(out_fd, bytes);
    if (!written) return SayWhy("cannot write " + job_.targets[0], written.error());
  }
  result_.plain_bytes = result_.stored_bytes;
  return {};
}

Clause FileImport::Verify(int out_fd) {
  Result<bool> is_same = true;
  if (IsConverted()) {
    is_same = ReadsBack(out_fd, result_.stored_bytes, options_.pool, crc_, result_.plain_bytes);
  } else {
    uint32_t crc = 0;
    std::vector<std::byte> buffer(kMiB);
    for (uint64_t offset = 0; is_same && offset < result_.stored_bytes;) {
      const Result<size_t> count = RealFileOps().ReadAt(out_fd, offset, buffer);
      if (!count) return SayWhy("cannot read back " + job_.targets[0], count.error());
      if (*count == 0) break;
      crc = Crc32(crc, std::span(buffer).first(*count));
      offset += *count;
    }
    is_same = crc == crc_;
  }
  if (!is_same) return SayWhy("cannot read back " + job_.targets[0], is_same.error());
  if (!*is_same) return Say(job_.targets[0] + " reads back as something else; left alone");
  return {};
}

Clause FileImport::CheckUnchanged() const {
  const Result<struct stat> after = RealFileOps().Stat(source_fd_.get());
  if (!after) return Say(Describe(after.error()));
  if (!IsSameFile(*after, before_) || !IsSameTime(after->st_ctim, before_.st_ctim))
    return Say(kChanged);
  if (HasWriter(source_fd_.get())) return Say("was opened for writing; left alone");
  const Result<struct stat> named = StatInTree(job_.sources[0]);
  if (!named || !IsSameFile(*named, before_)) return Say(kChanged);
  return {};
}

// Completes `out`, makes it durable and gives it the first name.
Clause FileImport::Place(NewFile& out) {
  const Result<void> like =
      CopyObjectStatus(source_fd_.get(), before_, out.fd(),
                       options_.is_in_place ? OwnerRule::kMust : OwnerRule::kIfPermitted);
  if (!like) return SayWhy("its owner, mode or attributes cannot be kept", like.error());
  const Result<void> synced = RealFileOps().SyncAll(out.fd());
  if (!synced) return SayWhy("cannot write " + job_.targets[0], synced.error());
  if (Clause verified = Verify(out.fd()); !verified) return verified;
  if (Clause unchanged = CheckUnchanged(); !unchanged) return unchanged;
  const Result<void> appeared = out.Appear(job_.targets[0], ReplacesSource());
  if (appeared) return {};
  if (appeared.error().value() == EEXIST)
    return Say(fmt::format("{} has appeared meanwhile; both left alone", job_.targets[0]));
  return SayWhy("cannot make " + job_.targets[0], appeared.error());
}

// Further names of the same file, by way of a temporary one where they replace.
Clause FileImport::AddNames() {
  FileOps& ops = RealFileOps();
  if (job_.targets.size() == 1) return {};
  const std::string& first = job_.targets[0];
  const Result<TreePlace> from = PlaceInTree(first);
  const Result<struct stat> made =
      from ? ops.StatAt(from->dir_fd(), from->c_name()) : Fail(from.error());
  if (!made) return SayWhy(first, made.error());
  for (size_t i = 1; i < job_.targets.size(); ++i) {
    const std::string& target = job_.targets[i];
    const Result<TreePlace> to = PlaceInTree(target);
    if (!to) return SayWhy("cannot make " + target, to.error());
    const Result<struct stat> there = ops.StatAt(to->dir_fd(), to->c_name());
    if (there && there->st_dev == made->st_dev && there->st_ino == made->st_ino) continue;
    if (there && ReplacesSource() && !IsSameFile(*there, before_))
      return Say(fmt::format("{}: {}", target, kChanged));
    if (there && !ReplacesSource()) return Say(target + " is there, too; left alone");
    const std::string temporary = TemporaryName();
    Result<void> linked = LinkAt(from->dir_fd(), from->c_name(), to->dir_fd(), temporary.c_str());
    if (linked) {
      linked = ops.RenameAt(to->dir_fd(), temporary.c_str(), to->dir_fd(), to->c_name(),
                            ReplacesSource() ? 0 : RENAME_NOREPLACE);
      if (!linked) (void)ops.UnlinkAt(to->dir_fd(), temporary.c_str(), 0);
    }
    if (!linked) return SayWhy("cannot make " + target, linked.error());
  }
  return {};
}

Clause FileImport::SyncTargets() {
  std::set<std::string> directories;
  for (const std::string& target : job_.targets) directories.insert(ParentOf(target));
  for (const std::string& directory : directories) {
    const Result<void> synced = SyncDirectoryInTree(directory);
    if (!synced) return SayWhy(directory, synced.error());
  }
  return {};
}

Clause FileImport::RemoveSources() {
  for (const std::string& source : job_.sources) {
    const Result<TreePlace> place = PlaceInTree(source);
    if (!place) return SayWhy("cannot remove " + source, place.error());
    const Result<struct stat> status = RealFileOps().StatAt(place->dir_fd(), place->c_name());
    if (!status || !IsSameFile(*status, before_) || HasWriter(source_fd_.get())) {
      return Say(fmt::format("{} changed when {} was there already: both are kept", source,
                             job_.targets[0]));
    }
    const Result<void> removed = RealFileOps().UnlinkAt(place->dir_fd(), place->c_name(), 0);
    if (!removed) return SayWhy("cannot remove " + source, removed.error());
  }
  return {};
}

Outcome FileImport::Run() {
  if (Clause opened = Open(); !opened) return Say(opened.error());
  if (!ReplacesSource()) {
    const auto done = IsDoneBefore();
    if (!done) return Say(done.error());
  }
  const bool is_done = result_.kind == ImportResult::Kind::kDoneBefore;
  if (options_.is_dry) {
    const Result<UniqueFd> nowhere = RealFileOps().OpenAt(AT_FDCWD, "/dev/null", O_WRONLY, 0);
    if (!nowhere) return Say(Describe(nowhere.error()));
    if (is_done) return result_;
    if (Clause written = Write(nowhere->get()); !written) return Say(written.error());
    return result_;
  }
  if (!is_done) {
    Result<NewFile> out = NewFile::CreateInTree(ParentOf(job_.targets[0]));
    if (!out) return SayWhy("cannot write " + job_.targets[0], out.error());
    if (Clause written = Write(out->fd()); !written) return Say(written.error());
    if (Clause placed = Place(*out); !placed) return Say(placed.error());
  }
  if (Clause named = AddNames(); !named) return Say(named.error());
  if (Clause synced = SyncTargets(); !synced) return Say(synced.error());
  if (options_.is_in_place && !options_.keeps && !ReplacesSource()) {
    if (Clause removed = RemoveSources(); !removed) return Say(removed.error());
  }
  return result_;
}

}  // namespace

tl::expected<ImportResult, std::string> ImportFile(const ImportJob& job,
                                                   const ImportOptions& options,
                                                   std::atomic<uint64_t>& done_bytes) {
  return FileImport(job, options, done_bytes).Run();
}

}  // namespace gzipfs
