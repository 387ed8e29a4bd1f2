// What was walked last is found again, within bounds.
#include "fs/store/walk_cache.h"

#include <gtest/gtest.h>

namespace gzipfs {
namespace {

MemberGroup GroupAt(uint64_t number) {
  return {.plain_offset = number * 2000, .plain_bytes = 2000, .file_offset = number * 500,
          .file_bytes = 500};
}

MemberList Members(size_t count) {
  return std::make_shared<const std::vector<MemberInfo>>(count);
}

TEST(WalkCache, WhatWasAddedIsFound) {
  WalkCache walks;
  const MemberList members = Members(32);
  walks.Add(GroupAt(7), members);
  EXPECT_EQ(walks.Find(GroupAt(7)), members);
  EXPECT_EQ(walks.Find(GroupAt(8)), nullptr);
  walks.Clear();
  EXPECT_EQ(walks.Find(GroupAt(7)), nullptr);
}

TEST(WalkCache, GroupOfAnotherIndexIsAnotherOne) {
  WalkCache walks;
  walks.Add(GroupAt(7), Members(32));
  MemberGroup moved = GroupAt(7);
  moved.plain_offset += 1;
  EXPECT_EQ(walks.Find(moved), nullptr);
  const MemberList members = Members(3);
  walks.Add(moved, members);
  EXPECT_EQ(walks.Find(moved), members);
  EXPECT_EQ(walks.Find(GroupAt(7)), nullptr);
}

TEST(WalkCache, LeastRecentlyUsedGoesFirst) {
  constexpr size_t kGroups = 8;
  constexpr size_t kMembers = WalkCache::kMaxBytes / sizeof(MemberInfo) / kGroups;
  WalkCache walks;
  for (uint64_t i = 0; i < kGroups; ++i) walks.Add(GroupAt(i), Members(kMembers));
  for (uint64_t i = 0; i < kGroups; ++i) EXPECT_NE(walks.Find(GroupAt(i)), nullptr) << i;
  EXPECT_NE(walks.Find(GroupAt(0)), nullptr);
  walks.Add(GroupAt(kGroups), Members(kMembers));
  EXPECT_NE(walks.Find(GroupAt(0)), nullptr);
  EXPECT_EQ(walks.Find(GroupAt(1)), nullptr);
  EXPECT_NE(walks.Find(GroupAt(kGroups)), nullptr);
}

TEST(WalkCache, OneThatIsTooLargeIsKeptAlone) {
  WalkCache walks;
  walks.Add(GroupAt(1), Members(10));
  walks.Add(GroupAt(2), Members(2 * WalkCache::kMaxBytes / sizeof(MemberInfo)));
  EXPECT_EQ(walks.Find(GroupAt(1)), nullptr);
  EXPECT_NE(walks.Find(GroupAt(2)), nullptr);
}

}  // namespace
}  // namespace gzipfs
