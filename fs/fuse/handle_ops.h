// Callbacks on open files, and the control calls of control.h.
#pragma once

#include <fuse_lowlevel.h>

namespace gzipfs {

void OpenOp(fuse_req_t request, fuse_ino_t node, fuse_file_info* info);
void CreateOp(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
              fuse_file_info* info);
void ReadOp(fuse_req_t request, fuse_ino_t node, size_t byte_count, off_t offset,
            fuse_file_info* info);
void WriteOp(fuse_req_t request, fuse_ino_t node, const char* bytes, size_t byte_count,
             off_t offset, fuse_file_info* info);
void FlushOp(fuse_req_t request, fuse_ino_t node, fuse_file_info* info);
void ReleaseOp(fuse_req_t request, fuse_ino_t node, fuse_file_info* info);
void SyncOp(fuse_req_t request, fuse_ino_t node, int data_only, fuse_file_info* info);
void AllocateOp(fuse_req_t request, fuse_ino_t node, int mode, off_t offset, off_t byte_count,
                fuse_file_info* info);
void SeekOp(fuse_req_t request, fuse_ino_t node, off_t offset, int whence, fuse_file_info* info);
void CopyRangeOp(fuse_req_t request, fuse_ino_t source_node, off_t source_offset,
                 fuse_file_info* source, fuse_ino_t target_node, off_t target_offset,
                 fuse_file_info* target, size_t byte_count, int flags);
void IoctlOp(fuse_req_t request, fuse_ino_t node, unsigned command, void* argument,
             fuse_file_info* info, unsigned flags, const void* in, size_t in_bytes,
             size_t out_bytes);

}  // namespace gzipfs
