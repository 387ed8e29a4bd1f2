// The worked examples of codec/FORMAT.md, read by the reader and written by
// the writer.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "tests/unit/codec/stored_file.h"

namespace gzipfs::test {
namespace {

struct Example {
  Buffer bytes;              // what is skipped in the text is zeros
  uint64_t plain_bytes = 0;  // as its first line says
  bool is_whole = true;      // nothing is skipped
};

// One line: "OFFSET  HEX  | comment" or "OFFSET  .. COUNT  | comment".
void AddLine(const std::string& line, Example* example) {
  std::istringstream words(line.substr(0, line.find('|')));
  std::string offset, word;
  words >> offset;
  ASSERT_EQ(std::stoul(offset, nullptr, 16), example->bytes.size()) << line;
  while (words >> word) {
    if (word == "..") {
      size_t count = 0;
      words >> count;
      example->bytes.resize(example->bytes.size() + count);
      example->is_whole = false;
    } else {
      example->bytes.push_back(static_cast<std::byte>(std::stoul(word, nullptr, 16)));
    }
  }
}

std::map<std::string, Example> ReadExamples() {
  const std::string this_file = __FILE__;
  const std::string root = this_file.substr(0, this_file.rfind("tests/unit"));
  std::ifstream document(root + "codec/FORMAT.md");
  EXPECT_TRUE(document.is_open()) << root;
  std::map<std::string, Example> examples;
  Example* current = nullptr;
  for (std::string line; std::getline(document, line);) {
    constexpr std::string_view kBegin = "```hex ";
    constexpr std::string_view kSize = "# plain_bytes=";
    if (line.starts_with(kBegin)) {
      current = &examples[line.substr(kBegin.size())];
    } else if (line.starts_with("```")) {
      current = nullptr;
    } else if (current && line.starts_with(kSize)) {
      current->plain_bytes = std::stoul(line.substr(kSize.size()));
    } else if (current) {
      AddLine(line, current);
    }
  }
  return examples;
}

class FormatExamples : public ::testing::Test {
 protected:
  const Example& Named(const std::string& name) {
    static const std::map<std::string, Example> examples = ReadExamples();
    EXPECT_TRUE(examples.contains(name)) << name;
    return examples.at(name);
  }

  // A whole example leads to `text`, with or without its tail.
  void ExpectContent(const std::string& name, std::string_view text, bool has_tail) {
    const Example& example = Named(name);
    ASSERT_TRUE(example.is_whole);
    EXPECT_EQ(example.plain_bytes, text.size());
    const auto layout = Layout(example.bytes);
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->has_tail, has_tail);
    EXPECT_FALSE(layout->rest) << layout->rest.message();
    EXPECT_EQ(layout->index.plain_bytes(), text.size());
    const auto decoded = DecodeAll(example.bytes, *layout);
    ASSERT_TRUE(decoded) << decoded.error().message();
    EXPECT_EQ(*decoded, FromText(text));
    const auto unzipped = GunzipAll(example.bytes);
    ASSERT_TRUE(unzipped);
    EXPECT_EQ(*unzipped, FromText(text));
  }

  // The tail at the end of an example that leaves out compressed bytes.
  TailSummary SummaryOf(const Example& example) {
    const auto summary = ReadTailSummary(SpanSource(example.bytes), example.bytes.size());
    EXPECT_TRUE(summary && *summary);
    return summary && *summary ? **summary : TailSummary();
  }
};

TEST_F(FormatExamples, AreReadAsTheySay) {
  ExpectContent("empty", "", true);
  ExpectContent("one", "A", true);
  ExpectContent("append", "ABC", true);
  ExpectContent("foreign_append", "AB", false);
}

TEST_F(FormatExamples, TailsWithoutTheirDataSaySizeAndPlace) {
  for (const char* name : {"block", "block_and_one"}) {
    const Example& example = Named(name);
    const TailSummary summary = SummaryOf(example);
    EXPECT_EQ(summary.plain_bytes, example.plain_bytes) << name;
    EXPECT_EQ(summary.entry_count, 0u) << name;
    EXPECT_EQ(summary.block_bytes, kBgzfBlockBytes) << name;
    // Header and trailer of the block are in the text: hopping needs no more.
    const auto scanned = Scan(example.bytes);
    ASSERT_TRUE(scanned) << name;
    EXPECT_EQ(scanned->index.plain_bytes(), example.plain_bytes) << name;
  }
  EXPECT_EQ(Named("block").plain_bytes, 65536u);
  EXPECT_EQ(Named("block_and_one").plain_bytes, 65537u);
}

TEST_F(FormatExamples, LongTailHasTheGroupsItSays) {
  const Example& example = Named("long_tail");
  EXPECT_EQ(SummaryOf(example).entry_count, 2u);
  const auto layout = Layout(example.bytes);
  ASSERT_TRUE(layout);
  ASSERT_TRUE(layout->has_tail);
  EXPECT_EQ(layout->index.plain_bytes(), example.plain_bytes);
  ASSERT_GE(layout->index.group_count(), 2u);
  EXPECT_EQ(layout->index.GroupAt(0).plain_bytes, 32u);
  EXPECT_EQ(layout->index.GroupAt(0).file_bytes, 0x400u);
  EXPECT_EQ(layout->index.GroupAt(1).plain_bytes, 1u);
}

// The tails of the text are those the writer makes.
TEST_F(FormatExamples, TailsAreWhatTheWriterWrites) {
  StoredFile empty;
  empty.AddTail();
  EXPECT_EQ(empty.bytes, Named("empty").bytes);

  MemberIndex one;
  one.Append(1, 32);
  const Buffer tail = one.EncodeTail(Profile::kBgzf, kBgzfBlockBytes);
  const Buffer& file = Named("one").bytes;
  EXPECT_EQ(tail, Buffer(file.begin() + 32, file.end()));

  MemberIndex many;
  for (int i = 0; i < 33; ++i) many.Append(1, 32);
  const Buffer long_tail = many.EncodeTail(Profile::kBgzf, kBgzfBlockBytes);
  const Buffer& example = Named("long_tail").bytes;
  EXPECT_EQ(long_tail, Buffer(example.begin() + 33 * 32, example.end()));
}

}  // namespace
}  // namespace gzipfs::test
