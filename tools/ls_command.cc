// gzipfs ls: the members of a gzip file, one a line.
#include <memory>

#include "codec/member_scanner.h"
#include "tools/commands.h"
#include "tools/gzip_input.h"
#include "tools/messages.h"
#include "tools/store_path.h"

namespace gzipfs {
namespace {

constexpr char kLsName[] = "ls";
constexpr size_t kFlushTextBytes = 64 << 10;
constexpr char kLsExamples[] =
    "Kinds: data; foreign (no length in its header, so its end was found by decoding);\n"
    "tail (an empty member that carries size or index); eof (the end-of-file marker);\n"
    "empty (another member without data).\n\n"
    "Examples:\n"
    "  gzipfs ls dump.sql.gz\n"
    "  gzipfs ls dump.sql.gz | awk '$6 == \"data\"' | wc -l\n\n"
    "Exit status: 0; 1 when the file cannot be read or is damaged.";

std::string_view KindOf(const MemberInfo& member) {
  if (!member.profile) return "foreign";
  if (member.is_empty_shape) return member.payload == kEofPayload ? "eof" : "tail";
  return member.plain_bytes == 0 ? "empty" : "data";
}

bool FailFor(const std::string& path, std::string_view reason) {
  Complain(kLsName, "{}: {}", path, reason);
  return false;
}

bool ListMembers(const std::string& path, const ByteSource& source) {
  std::string text = fmt::format("{:>15} {:>15} {:>12} {:>12}  {:8}  {}\n", "plain offset",
                                 "file offset", "plain bytes", "member bytes", "crc32", "kind");
  MemberScanner scanner(source);
  for (;;) {
    const Result<std::optional<MemberInfo>> next = scanner.Next();
    if (!next) {
      Print(kLsName, text);
      return FailFor(path, fmt::format("file offset {}: {}", scanner.position(),
                                       Describe(next.error())));
    }
    if (!*next) return Print(kLsName, text);
    const MemberInfo& member = **next;
    fmt::format_to(std::back_inserter(text), "{:>15} {:>15} {:>12} {:>12}  {:08x}  {}\n",
                   member.plain_offset, member.file_offset, member.plain_bytes,
                   member.member_bytes, member.crc32, KindOf(member));
    if (text.size() < kFlushTextBytes) continue;
    if (!Print(kLsName, text)) return false;
    text.clear();
  }
}

bool ListFile(const std::string& path) {
  const Result<std::string> store_path = FindStoreFile(path);
  if (!store_path) return FailFor(path, Describe(store_path.error()));
  const Result<GzipInput> input = GzipInput::Open(*store_path, GzipInput::Access::kRandom);
  if (!input) {
    return FailFor(*store_path, input.error().value() == EINVAL ? "not a regular file"
                                                                : Describe(input.error()));
  }
  return ListMembers(*store_path, input->source());
}

}  // namespace

void AddLsCommand(CLI::App& app, int& exit_status) {
  CLI::App* command = app.add_subcommand(
      kLsName, "List the members: plain offset, file offset, sizes, CRC-32, kind");
  command->footer(kLsExamples);
  auto path = std::make_shared<std::string>();
  command->add_option("FILE", *path, "a gzip file, or a file in a mount")
      ->required()
      ->type_name("");
  command->callback([path, &exit_status] { exit_status = ListFile(*path) ? 0 : kExitFailure; });
}

}  // namespace gzipfs
