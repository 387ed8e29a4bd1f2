// Callbacks on names, attributes and directories. See libfuse's
// fuse_lowlevel.h for what each is given and may answer.
#pragma once

#include <fuse_lowlevel.h>

namespace gzipfs {

void LookupOp(fuse_req_t request, fuse_ino_t parent, const char* name);
void ForgetOp(fuse_req_t request, fuse_ino_t node, uint64_t count);
void ForgetMultiOp(fuse_req_t request, size_t count, fuse_forget_data* forgets);
void GetAttrOp(fuse_req_t request, fuse_ino_t node, fuse_file_info* info);
void SetAttrOp(fuse_req_t request, fuse_ino_t node, struct stat* attr, int to_set,
               fuse_file_info* info);
void ReadLinkOp(fuse_req_t request, fuse_ino_t node);
void MakeNodeOp(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t device);
void MakeDirectoryOp(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode);
void UnlinkOp(fuse_req_t request, fuse_ino_t parent, const char* name);
void RemoveDirectoryOp(fuse_req_t request, fuse_ino_t parent, const char* name);
void SymlinkOp(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name);
void RenameOp(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
              const char* new_name, unsigned flags);
void LinkOp(fuse_req_t request, fuse_ino_t node, fuse_ino_t new_parent, const char* new_name);

void OpenDirectoryOp(fuse_req_t request, fuse_ino_t node, fuse_file_info* info);
void ReadDirectoryOp(fuse_req_t request, fuse_ino_t node, size_t byte_count, off_t position,
                     fuse_file_info* info);
void ReadDirectoryPlusOp(fuse_req_t request, fuse_ino_t node, size_t byte_count, off_t position,
                         fuse_file_info* info);
void ReleaseDirectoryOp(fuse_req_t request, fuse_ino_t node, fuse_file_info* info);
void SyncDirectoryOp(fuse_req_t request, fuse_ino_t node, int data_only, fuse_file_info* info);

void StatFilesystemOp(fuse_req_t request, fuse_ino_t node);
void SetXattrOp(fuse_req_t request, fuse_ino_t node, const char* name, const char* value,
                size_t byte_count, int flags);
void GetXattrOp(fuse_req_t request, fuse_ino_t node, const char* name, size_t byte_count);
void ListXattrOp(fuse_req_t request, fuse_ino_t node, size_t byte_count);
void RemoveXattrOp(fuse_req_t request, fuse_ino_t node, const char* name);

}  // namespace gzipfs
