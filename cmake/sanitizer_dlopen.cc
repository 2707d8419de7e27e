// Linked into the programs with libphp in sanitizer builds only: PHP loads opcache and other
// extensions with RTLD_DEEPBIND, at which the sanitizers' own dlopen() ends the process.
#include <dlfcn.h>

extern "C" void* ___interceptor_dlopen(const char* path, int flags);

extern "C" __attribute__((visibility("default"), no_sanitize("thread", "address"))) void* dlopen(
    const char* path, int flags) {
  return ___interceptor_dlopen(path, flags & ~RTLD_DEEPBIND);
}
