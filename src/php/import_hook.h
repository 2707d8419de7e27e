// Replaces one function that a loaded library imports, for that library alone.
//
// Runs in: zygote, before it forks.  Input: the library as the dynamic linker has laid it out.
// Why not by a symbol of our own: PHP loads its extensions so that they find libc's first
// (RTLD_DEEPBIND).
#pragma once

namespace bulkhead::php {

// `library`: the end of the file's name; `name`: the function.  Returns whether it was replaced:
// the library is loaded and calls the function through its table of imports.
bool replace_import(const char* library, const char* name, void* function) noexcept;

}  // namespace bulkhead::php
