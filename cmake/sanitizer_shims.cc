// Linked into the programs with libphp in sanitizer builds only: two things that PHP does and the
// sanitizers' own versions of these functions get wrong.
#include <dlfcn.h>
#include <signal.h>

extern "C" {

void* ___interceptor_dlopen(const char* path, int flags);
int ___interceptor_sigaction(int signal, const struct sigaction* act, struct sigaction* old);

// PHP loads opcache and other extensions with RTLD_DEEPBIND, which would end the process.
__attribute__((visibility("default"))) void* dlopen(const char* path, int flags) {
  return ___interceptor_dlopen(path, flags & ~RTLD_DEEPBIND);
}

// PHP goes back to SIG_DFL with SA_SIGINFO still set; ThreadSanitizer would take that for a handler
// and SIGTERM would no longer end a worker.
__attribute__((visibility("default"))) int sigaction(int signal, const struct sigaction* act,
                                                     struct sigaction* old) {
  if (act == nullptr || act->sa_handler != SIG_DFL) {
    return ___interceptor_sigaction(signal, act, old);
  }
  struct sigaction plain = *act;
  plain.sa_flags &= ~SA_SIGINFO;
  return ___interceptor_sigaction(signal, &plain, old);
}
}
