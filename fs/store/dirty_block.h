// A block whose plain bytes are newer than the base's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "codec/member.h"
#include "fs/store/dirty_budget.h"
#include "fs/store/extent_set.h"

namespace gzipfs {

// Where a spilled block's members are in the log.
struct LogPlace {
  uint64_t offset = 0;
  uint32_t byte_count = 0;
};

class SpillLog;

// Plain bytes of a spilled block, as they are in `log`.
struct SpilledPiece {
  uint32_t begin = 0;  // in the block
  uint32_t end = 0;
  std::shared_ptr<const SpillLog> log;
  uint64_t offset = 0;  // in `log`
};

// Belongs to one Content; every field is guarded by that Content's mutex, with
// one exception: while the state is not kDirty the bytes and extents do not
// change, so a job may read them without the lock.
//
//   kDirty -> kEncoding -> kEncoded -> kAppending -> (in the base, gone)
//   kDirty or kEncoded -> kSpilling -> kLogged -> kAppending
//
// A block that came whole may begin as kEncoded, without plain bytes (packed).
struct DirtyBlock {
  enum class State {
    kDirty,      // takes writes
    kEncoding,   // a job compresses [encode_begin, encode_end)
    kEncoded,    // `encoded` holds the members of that range
    kAppending,  // they are being written to the base
    kSpilling,   // on its way to the log
    kLogged,     // in the spill log, as members or in pieces; no bytes in memory
  };

  DirtyBlock(uint64_t block_index, uint64_t block_bytes, DirtyBudget& block_budget)
      : index(block_index),
        data(new std::byte[block_bytes]),
        budget(block_budget),
        charged_bytes(block_bytes) {}
  // A block of which `members` hold all bytes, and nothing else does.
  DirtyBlock(uint64_t block_index, uint64_t block_bytes,
             std::shared_ptr<const EncodedBlock> members, DirtyBudget& block_budget)
      : index(block_index),
        state(State::kEncoded),
        was_submitted(true),
        encode_end(static_cast<uint32_t>(block_bytes)),
        encoded(std::move(members)),
        budget(block_budget),
        charged_bytes(std::min<uint64_t>(encoded->bytes.size(), block_bytes)) {
    valid.Add(0, encode_end);
  }
  ~DirtyBlock() { FreeData(); }
  DirtyBlock(const DirtyBlock&) = delete;
  DirtyBlock& operator=(const DirtyBlock&) = delete;

  // Takes writes: neither on its way anywhere nor part of a checkpoint.
  bool IsMutable() const { return state == State::kDirty && !is_frozen; }

  // Its bytes are in memory as members only.
  bool IsPacked() const { return !data && encoded && !encoded->bytes.empty(); }

  // Size of its members. REQUIRES: kEncoded, or kLogged as members.
  size_t MemberBytes() const { return log ? log_place.byte_count : encoded->bytes.size(); }

  // Somebody works on it without the lock and will change its state.
  bool IsOnItsWay() const {
    return state == State::kEncoding || state == State::kAppending || state == State::kSpilling;
  }

  // Where the bytes that it and the layers beneath it have begin, and end.
  uint32_t FirstByte() const {
    const uint32_t own = valid.empty() ? UINT32_MAX : valid.first_byte();
    return beneath ? std::min(own, beneath->FirstByte()) : own;
  }
  uint32_t EndByte() const {
    const uint32_t own = valid.empty() ? 0 : valid.end_byte();
    return beneath ? std::max(own, beneath->EndByte()) : own;
  }

  void FreeData() {
    data.reset();
    budget.Release(charged_bytes);
    charged_bytes = 0;
  }

  const uint64_t index;  // its plain bytes begin at index * block size
  State state = State::kDirty;
  bool is_frozen = false;      // a checkpoint reads it: later writes go on top
  bool was_submitted = false;  // compressed once already: not again by itself
  std::unique_ptr<std::byte[]> data;  // block size; null when packed, and once logged
  ExtentSet valid;                    // bytes of `data` that count
  std::shared_ptr<DirtyBlock> beneath;  // what the other bytes are; null: the base
  uint32_t encode_begin = 0;
  uint32_t encode_end = 0;
  std::shared_ptr<const EncodedBlock> encoded;  // kLogged with `log`: the sizes alone
  std::shared_ptr<const SpillLog> log;  // kLogged as members: holds them, at log_place
  LogPlace log_place;
  std::vector<SpilledPiece> pieces;  // kLogged without `log`: sorted; the bytes of `valid`
  DirtyBudget& budget;
  uint64_t charged_bytes;
};

}  // namespace gzipfs
