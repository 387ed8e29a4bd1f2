// How a finished image becomes the base: a pure decision.
#pragma once

#include <cstdint>

namespace gzipfs {

enum class CheckpointPlan {
  kReplace,    // rename the image over the base: atomic
  kOverwrite,  // copy the image over the base, which keeps its inode
};

struct CheckpointFacts {
  uint64_t link_count = 1;             // names the base has
  bool attributes_reproduced = true;   // the image has the base's owner, mode and xattrs
};

// Replacing is atomic but makes a new inode: not for a base that other names
// lead to, nor where the new one would belong to somebody else.
inline CheckpointPlan PlanCheckpoint(const CheckpointFacts& facts) {
  return facts.link_count == 1 && facts.attributes_reproduced ? CheckpointPlan::kReplace
                                                              : CheckpointPlan::kOverwrite;
}

}  // namespace gzipfs
