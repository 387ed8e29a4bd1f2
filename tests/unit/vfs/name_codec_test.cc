// The rules of names, by tables of directories.
#include "fs/vfs/name_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace gzipfs {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

enum class Kind { kGzipFile, kEmptyFile, kTextFile, kDirectory, kSymlink };

// A directory that is only a table.
class FakeDirectory final : public DirectoryView {
 public:
  explicit FakeDirectory(std::map<std::string, Kind> entries) : entries_(std::move(entries)) {}

  Result<std::optional<struct stat>> Stat(const std::string& store_name) override {
    const auto found = entries_.find(store_name);
    if (found == entries_.end()) return std::nullopt;
    return AttrOf(found->second);
  }
  Result<bool> IsGzip(const std::string& store_name, const struct stat&) override {
    return entries_.at(store_name) == Kind::kGzipFile;
  }

  // Every entry's mount name, marked with "*" where its plain bytes are shown.
  std::map<std::string, std::string> ShowAll() {
    std::map<std::string, std::string> shown;
    for (const auto& [name, kind] : entries_) {
      const auto as = ShowStoreName(*this, name, AttrOf(kind));
      shown[name] = as->mount_name + (as->form == Form::kGzip ? "*" : "");
    }
    return shown;
  }

  // The store name that is found for `mount_name`; "" for none.
  std::string Resolve(const std::string& mount_name) {
    const auto found = ResolveMountName(*this, mount_name);
    return *found ? (*found)->store_name : "";
  }

  const std::map<std::string, Kind>& entries() const { return entries_; }

 private:
  static struct stat AttrOf(Kind kind) {
    struct stat attr{};
    attr.st_mode = kind == Kind::kDirectory ? S_IFDIR : kind == Kind::kSymlink ? S_IFLNK : S_IFREG;
    attr.st_size = kind == Kind::kEmptyFile ? 0 : 100;
    return attr;
  }

  std::map<std::string, Kind> entries_;
};

TEST(NameCodec, RegularGzipFilesLoseTheirSuffix) {
  FakeDirectory directory({{"a.gz", Kind::kGzipFile}, {"b.gz", Kind::kEmptyFile}});
  EXPECT_THAT(directory.ShowAll(), UnorderedElementsAre(Pair("a.gz", "a*"), Pair("b.gz", "b*")));
  EXPECT_EQ(directory.Resolve("a"), "a.gz");
  EXPECT_EQ(directory.Resolve("a.gz"), "");
}

TEST(NameCodec, EverythingElseKeepsItsName) {
  FakeDirectory directory({{"text", Kind::kTextFile},
                           {"dir.gz", Kind::kDirectory},
                           {"link.gz", Kind::kSymlink},
                           {"notgzip.gz", Kind::kTextFile},
                           {".gz", Kind::kGzipFile}});
  for (const auto& [name, shown] : directory.ShowAll()) {
    EXPECT_EQ(name, shown);
    EXPECT_EQ(directory.Resolve(name), name);
  }
  EXPECT_EQ(directory.Resolve("dir"), "");
  EXPECT_EQ(directory.Resolve("notgzip"), "");
  EXPECT_EQ(directory.Resolve(""), "");
}

TEST(NameCodec, ARawFileTakesTheNameFromAGzipOne) {
  FakeDirectory directory({{"a", Kind::kTextFile}, {"a.gz", Kind::kGzipFile}});
  EXPECT_THAT(directory.ShowAll(), UnorderedElementsAre(Pair("a", "a"), Pair("a.gz", "a.gz")));
  EXPECT_EQ(directory.Resolve("a"), "a");
  EXPECT_EQ(directory.Resolve("a.gz"), "a.gz");
}

TEST(NameCodec, ADirectoryTakesTheNameFromAGzipFile) {
  FakeDirectory directory({{"a", Kind::kDirectory}, {"a.gz", Kind::kGzipFile}});
  EXPECT_THAT(directory.ShowAll(), UnorderedElementsAre(Pair("a", "a"), Pair("a.gz", "a.gz")));
}

TEST(NameCodec, AMountNameMayEndInTheSuffix) {
  FakeDirectory directory({{"a.gz", Kind::kGzipFile}, {"a.gz.gz", Kind::kGzipFile}});
  EXPECT_THAT(directory.ShowAll(),
              UnorderedElementsAre(Pair("a.gz", "a*"), Pair("a.gz.gz", "a.gz*")));
  EXPECT_EQ(directory.Resolve("a"), "a.gz");
  EXPECT_EQ(directory.Resolve("a.gz"), "a.gz.gz");
}

TEST(NameCodec, AChainOnARawFileIsRawAllTheWay) {
  FakeDirectory directory({{"a", Kind::kTextFile},
                           {"a.gz", Kind::kGzipFile},
                           {"a.gz.gz", Kind::kGzipFile},
                           {"a.gz.gz.gz", Kind::kGzipFile}});
  for (const auto& [name, shown] : directory.ShowAll()) EXPECT_EQ(name, shown);
}

TEST(NameCodec, AMissingLinkOfAChainMakesTheOnesAboveGzip) {
  FakeDirectory directory({{"a", Kind::kTextFile},
                           {"a.gz.gz", Kind::kGzipFile},
                           {"a.gz.gz.gz", Kind::kGzipFile}});
  EXPECT_THAT(directory.ShowAll(),
              UnorderedElementsAre(Pair("a", "a"), Pair("a.gz.gz", "a.gz*"),
                                   Pair("a.gz.gz.gz", "a.gz.gz*")));
}

TEST(NameCodec, NamesAreTooLongOnlyWithTheSuffix) {
  const std::string longest(255, 'n');
  FakeDirectory directory({{longest, Kind::kTextFile}});
  EXPECT_EQ(directory.Resolve(longest), longest);
  EXPECT_EQ(kMaxMountNameBytes, 252u);
}

// Every directory of entries x, x.gz, x.gz.gz, x.gz.gz.gz, each absent or of
// any kind: no two are shown alike, and each is found by what it is shown as.
TEST(NameCodec, ShowingAndResolvingAreInverseForEveryDirectory) {
  const std::vector<std::string> names = {"x", "x.gz", "x.gz.gz", "x.gz.gz.gz"};
  constexpr int kChoices = 6;  // absent, or one of five kinds
  for (int code = 0; code < kChoices * kChoices * kChoices * kChoices; ++code) {
    std::map<std::string, Kind> entries;
    for (int rest = code; const std::string& name : names) {
      if (rest % kChoices != 0) entries[name] = static_cast<Kind>(rest % kChoices - 1);
      rest /= kChoices;
    }
    FakeDirectory directory(entries);
    std::map<std::string, std::string> store_name_of;
    for (auto [store_name, shown] : directory.ShowAll()) {
      if (shown.ends_with('*')) shown.pop_back();
      ASSERT_TRUE(store_name_of.emplace(shown, store_name).second) << "directory " << code;
    }
    for (const std::string& name : names) {
      const auto expected = store_name_of.find(name);
      ASSERT_EQ(directory.Resolve(name),
                expected == store_name_of.end() ? "" : expected->second)
          << name << " in directory " << code;
    }
  }
}

}  // namespace
}  // namespace gzipfs
