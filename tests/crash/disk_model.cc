// States are cheap: files are shared between them until one writes.
#include "tests/crash/disk_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "codec/base/units.h"

namespace gzipfs::crash {
namespace {

constexpr uint64_t kSectorBytes = 512;
constexpr uint64_t kFileBlockBytes = 4096;
constexpr size_t kMaxEnumerated = 6;  // writes of which every subset is tried

// What is left of a write when nothing from `limit` on can be kept.
Fate LimitFate(const DiskOp& write, const Fate& fate, uint64_t limit) {
  if (write.offset + write.bytes->size() <= limit) return fate;
  if (write.offset >= limit || fate.kind != Fate::Kind::kKept) return {Fate::Kind::kLost};
  return {Fate::Kind::kBegin, limit};
}

}  // namespace

std::string DiskOp::Describe() const {
  static constexpr const char* kNames[] = {"create",   "link",  "rename", "unlink",
                                           "truncate", "write", "sync",   "sync directory"};
  std::string text = fmt::format("{} {}", kNames[static_cast<int>(kind)], path);
  if (kind == Kind::kRename) text += " from " + from;
  if (kind == Kind::kTruncate) text += fmt::format(" to {}", offset);
  if (kind == Kind::kWrite) text += fmt::format(" {}+{}", offset, bytes->size());
  return text;
}

std::string Fate::Describe() const {
  switch (kind) {
    case Kind::kKept: return "kept";
    case Kind::kLost: return "lost";
    case Kind::kBegin: return fmt::format("up to {}", cut);
    case Kind::kEnd: return fmt::format("from {} on", cut);
    case Kind::kZeros: return "zeros";
  }
  return {};
}

Buffer& DiskFile::Own() {
  if (bytes.use_count() > 1) bytes = std::make_shared<Buffer>(*bytes);
  return *bytes;
}

void DiskState::Apply(const DiskOp& op, const Fate& fate) {
  switch (op.kind) {
    case DiskOp::Kind::kCreate:
      files.try_emplace(op.file, DiskFile{op.ino});
      names[op.path] = op.file;
      return;
    case DiskOp::Kind::kLink:
      names[op.path] = op.file;
      return;
    case DiskOp::Kind::kRename:
      names.erase(op.from);
      names[op.path] = op.file;
      return;
    case DiskOp::Kind::kUnlink:
      names.erase(op.path);
      return;
    case DiskOp::Kind::kTruncate:
      files.at(op.file).Own().resize(op.offset);
      return;
    case DiskOp::Kind::kSyncFile:
    case DiskOp::Kind::kSyncDir:
      return;
    case DiskOp::Kind::kWrite: break;
  }
  if (fate.kind == Fate::Kind::kLost) return;
  Buffer& file = files.at(op.file).Own();
  uint64_t begin = op.offset;
  uint64_t end = op.offset + op.bytes->size();
  if (fate.kind == Fate::Kind::kBegin) end = fate.cut;
  if (fate.kind == Fate::Kind::kEnd) begin = fate.cut;
  if (file.size() < end) file.resize(end);
  if (fate.kind == Fate::Kind::kZeros) return;
  const auto from = op.bytes->begin() - static_cast<ptrdiff_t>(op.offset);
  std::copy(from + static_cast<ptrdiff_t>(begin), from + static_cast<ptrdiff_t>(end),
            file.begin() + static_cast<ptrdiff_t>(begin));
}

void DiskState::DropNameless() {
  std::set<FileId> named;
  for (const auto& [path, file] : names) named.insert(file);
  std::erase_if(files, [&](const auto& entry) { return !named.contains(entry.first); });
}

uint64_t DiskState::Fingerprint() const {
  uint64_t sum = 0;
  const auto add = [&sum](uint64_t value) {
    sum = (sum ^ value) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 29;
  };
  add(lost_power);
  for (const auto& [path, file] : names) {
    const DiskFile& found = files.at(file);
    add(std::hash<std::string>()(path));
    add(found.ino);
    const auto* const text = reinterpret_cast<const char*>(found.bytes->data());
    add(std::hash<std::string_view>()(std::string_view(text, found.bytes->size())));
  }
  return sum;
}

// Files of which every call is durable need no record any more.
void CrashStates::MakeDurable(const std::function<bool(const DiskOp&)>& covers) {
  std::set<FileId> loose;
  bool is_journal_loose = false;
  std::vector<Pending> left;
  for (Pending& pending : pending_) {
    const DiskOp& op = ops_[pending.op];
    if (covers(op)) pending.is_durable = true;
    const bool is_name = op.IsMetadata() && op.kind != DiskOp::Kind::kTruncate;
    const bool waits = is_name ? is_journal_loose : loose.contains(op.file);
    if (pending.is_durable && !waits) {
      settled_.Apply(op);
      continue;
    }
    if (is_name) {
      is_journal_loose = true;
    } else {
      loose.insert(op.file);
    }
    left.push_back(pending);
  }
  pending_ = std::move(left);
}

void CrashStates::Advance() {
  const DiskOp& op = ops_[done_];
  now_.Apply(op);
  // Its bytes may be durable before its name is.
  if (op.kind == DiskOp::Kind::kCreate) settled_.files.try_emplace(op.file, DiskFile{op.ino});
  if (op.kind == DiskOp::Kind::kSyncFile) {
    MakeDurable([&op](const DiskOp& earlier) {
      return earlier.file == op.file && (earlier.kind == DiskOp::Kind::kWrite ||
                                         earlier.kind == DiskOp::Kind::kTruncate);
    });
  } else if (op.kind == DiskOp::Kind::kSyncDir) {
    MakeDurable([](const DiskOp& earlier) { return earlier.IsMetadata(); });
  } else {
    pending_.push_back({done_});
  }
  ++done_;
}

void CrashStates::VisitProcessDeaths(const Visit& visit) {
  const auto tell = [&](DiskState disk, const std::string& how) {
    if (!IsWanted()) return;
    disk.DropNameless();
    visit({std::move(disk), fmt::format("the process died after call {}{}", done_, how), false});
  };
  tell(now_, "");
  if (done_ == ops_.size() || ops_[done_].kind != DiskOp::Kind::kWrite) return;
  const DiskOp& next = ops_[done_];
  const uint64_t byte_count = next.bytes->size();
  std::set<uint64_t> counts{1, byte_count / 2, byte_count - 1, random_() % byte_count};
  if (samples_ == 1) counts = {byte_count / 2};
  counts.erase(0);
  counts.erase(byte_count);
  for (const uint64_t count : counts) {
    DiskState disk = now_;
    disk.Apply(next, {Fate::Kind::kBegin, next.offset + count});
    tell(std::move(disk), fmt::format(" and {} bytes of: {}", count, next.Describe()));
  }
}

// The names as they are when so much of the journal is kept.
DiskState CrashStates::ApplyMetadata(size_t metadata_count) const {
  DiskState disk;
  disk.names = settled_.names;
  size_t count = 0;
  for (const Pending& pending : pending_) {
    const DiskOp& op = ops_[pending.op];
    if (!op.IsMetadata() || (!pending.is_durable && count++ >= metadata_count)) continue;
    if (op.kind != DiskOp::Kind::kTruncate) disk.Apply(op);
  }
  return disk;
}

// The writes that may be lost, to files that have a name then.
std::vector<size_t> CrashStates::LooseWrites(size_t metadata_count) const {
  std::set<FileId> named;
  for (const auto& [path, file] : ApplyMetadata(metadata_count).names) named.insert(file);
  std::vector<size_t> writes;
  for (const Pending& pending : pending_) {
    const DiskOp& op = ops_[pending.op];
    if (op.kind != DiskOp::Kind::kWrite || pending.is_durable || !named.contains(op.file)) continue;
    writes.push_back(pending.op);
  }
  return writes;
}

CrashState CrashStates::Make(size_t metadata_count, const std::map<size_t, Fate>& fates) const {
  CrashState state{settled_, fmt::format("power cut after call {}", done_), true};
  state.disk.lost_power = true;
  std::map<FileId, uint64_t> write_limits;
  size_t count = 0;
  for (const Pending& pending : pending_) {
    const DiskOp& op = ops_[pending.op];
    if (op.IsMetadata()) {
      if (!pending.is_durable && count++ >= metadata_count) {
        state.story += fmt::format("; lost: {}", op.Describe());
        if (op.kind == DiskOp::Kind::kTruncate) {
          uint64_t& limit = write_limits.try_emplace(op.file, UINT64_MAX).first->second;
          limit = std::min(limit, RoundUp(op.offset, kFileBlockBytes));
        }
        continue;
      }
      state.disk.Apply(op);
      continue;
    }
    const auto given = fates.find(pending.op);
    Fate fate = given == fates.end() ? Fate{} : given->second;
    if (const auto limit = write_limits.find(op.file); limit != write_limits.end()) {
      fate = LimitFate(op, fate, limit->second);
    }
    state.disk.Apply(op, fate);
    if (fate.kind != Fate::Kind::kKept) {
      state.story += fmt::format("; {}: {}", op.Describe(), fate.Describe());
    }
  }
  state.disk.DropNameless();
  return state;
}

Fate CrashStates::RandomFate(const DiskOp& write) {
  const auto kind = static_cast<Fate::Kind>(random_() % 5);
  if (kind != Fate::Kind::kBegin && kind != Fate::Kind::kEnd) return {kind};
  const uint64_t first = write.offset / kSectorBytes + 1;
  const uint64_t last = (write.offset + write.bytes->size() - 1) / kSectorBytes;
  if (first > last) return {Fate::Kind::kLost};
  // The places where one record or member ends and the next begins are often
  // near the ends of a write.
  const uint64_t choice = random_() % 4;
  uint64_t sector = first + random_() % (last - first + 1);
  if (choice == 0) sector = first;
  if (choice == 1) sector = last;
  return {kind, sector * kSectorBytes};
}

void CrashStates::VisitPrefix(size_t metadata_count, const Visit& visit) {
  const std::vector<size_t> writes = LooseWrites(metadata_count);
  const size_t subset_bits = std::min(writes.size(), kMaxEnumerated);
  for (size_t subset = 0; subset < size_t{1} << subset_bits; ++subset) {
    std::map<size_t, Fate> fates;
    for (size_t i = 0; i < writes.size(); ++i) {
      // Beyond the last few, writes share their fate with others.
      const size_t bit = (writes.size() - 1 - i) % kMaxEnumerated;
      fates[writes[i]] = {subset >> bit & 1 ? Fate::Kind::kLost : Fate::Kind::kKept};
    }
    if (IsWanted()) visit(Make(metadata_count, fates));
  }
  if (writes.empty()) return;
  for (size_t sample = 0; sample < samples_; ++sample) {
    std::map<size_t, Fate> fates;
    for (const size_t write : writes) fates[write] = RandomFate(ops_[write]);
    if (IsWanted()) visit(Make(metadata_count, fates));
  }
}

void CrashStates::VisitPowerCuts(const Visit& visit) {
  const auto metadata_count =
      static_cast<size_t>(std::count_if(pending_.begin(), pending_.end(), [&](const Pending& p) {
        return ops_[p.op].IsMetadata() && !p.is_durable;
      }));
  for (size_t count = 0; count <= metadata_count; ++count) VisitPrefix(count, visit);
}

}  // namespace gzipfs::crash
