// A value that the kernel takes for a file's capabilities.
#pragma once

#include <cstddef>
#include <vector>

namespace gzipfs::test {

// cap_net_raw+ep (capabilities(7), revision 2).
inline std::vector<std::byte> SomeCapability() {
  std::vector<std::byte> value(20);
  value[0] = std::byte{1};
  value[3] = std::byte{2};
  value[5] = std::byte{0x20};
  return value;
}

}  // namespace gzipfs::test
