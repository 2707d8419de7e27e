#include "front/body_source.h"

namespace bulkhead::front {

void BodyRun::clip(uint64_t limit) {
  if (size <= limit) return;
  last = false;
  size = limit;
  if (kind != Kind::kMemory) return;
  uint64_t left = limit;
  for (size_t i = 0; i < count; ++i) {
    if (pieces[i].iov_len >= left) {
      pieces[i].iov_len = left;
      count = left == 0 ? i : i + 1;
      return;
    }
    left -= pieces[i].iov_len;
  }
}

const char* PiecesBody::memory_of(const BodyPiece& piece) const {
  if (!piece.text.empty()) return piece.text.data();
  const OpenFile* file = response_->file.get();
  if (file == nullptr || !file->has_content) return nullptr;
  uint64_t available = file->content.size();
  if (piece.offset > available || piece.size > available - piece.offset) return nullptr;
  return file->content.data() + piece.offset;
}

void PiecesBody::next(BodyRun& run) {
  run.kind = BodyRun::Kind::kEnd;
  const auto& pieces = response_->pieces;
  size_t i = index_;
  uint64_t skip = done_in_piece_;
  for (; i < pieces.size() && run.count < BodyRun::kPiecesMax; ++i, skip = 0) {
    const BodyPiece& piece = pieces[i];
    uint64_t left = size_of(piece) - skip;
    if (left == 0) continue;
    if (const char* bytes = memory_of(piece)) {
      run.kind = BodyRun::Kind::kMemory;
      run.add(bytes + skip, left);
      continue;
    }
    if (run.count > 0) return;  // the file's stretch is the next run
    if (response_->file == nullptr || !response_->file->fd.valid()) {
      run.kind = BodyRun::Kind::kBroken;
      return;
    }
    run.kind = BodyRun::Kind::kFile;
    run.file = response_->file->fd;
    run.offset = piece.offset + skip;
    run.size = left;
    ++i;
    break;
  }
  run.last = i == pieces.size();
}

void PiecesBody::consumed(uint64_t bytes) {
  const auto& pieces = response_->pieces;
  while (index_ < pieces.size()) {
    uint64_t left = size_of(pieces[index_]) - done_in_piece_;
    if (bytes < left) {
      done_in_piece_ += bytes;
      return;
    }
    bytes -= left;
    ++index_;
    done_in_piece_ = 0;
    if (bytes == 0) return;
  }
}

}  // namespace bulkhead::front
