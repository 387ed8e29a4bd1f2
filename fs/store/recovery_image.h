// The image that a log announces, copied over its base once more: whoever began to copy
// it did not come to the end, or to telling that he had.
#pragma once

#include "fs/store/log_format.h"
#include "fs/store/recovery_places.h"
#include "fs/store/store.h"

namespace gzipfs {

// Makes the base at `place` what `image` is, durably. Capabilities and set-id bits that a
// copy has taken from the base are given back from the image; those that somebody else may
// have taken since are not. Of an image that is gone the copy must be complete already;
// ESTALE when it is another one. For recovery's thread.
Result<void> CopyImageAgain(Store& store, const LogImage& image, const RecoveryPlace& place);

}  // namespace gzipfs
