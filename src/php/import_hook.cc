// See import_hook.h.
//
// Ref: ELF gABI 1.2 chapter 5 (dynamic section, relocations), dl_iterate_phdr(3).
#include "php/import_hook.h"

#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace bulkhead::php {
namespace {

#if defined(__x86_64__)
constexpr uint64_t kSlotType = R_X86_64_JUMP_SLOT, kDataType = R_X86_64_GLOB_DAT;
#elif defined(__aarch64__)
constexpr uint64_t kSlotType = R_AARCH64_JUMP_SLOT, kDataType = R_AARCH64_GLOB_DAT;
#else
constexpr uint64_t kSlotType = ~uint64_t{0}, kDataType = ~uint64_t{0};  // nothing is replaced
#endif

struct Imports {  // of one library
  uintptr_t base = 0;
  uintptr_t relro_at = 0, relro_bytes = 0;  // from base on; what the linker made read-only
  const ElfW(Sym) * symbols = nullptr;
  const char* names = nullptr;
  struct Table {
    const ElfW(Rela) * first = nullptr;
    size_t bytes = 0;
  } calls, data;
};

struct Wanted {
  std::string_view library;
  const char* name;
  void* function;
  bool replaced = false;
};

// The linker has made most of these absolute already.
uintptr_t place(uintptr_t base, uintptr_t value) { return value < base ? base + value : value; }

Imports imports_of(uintptr_t base, const ElfW(Dyn) * entry) {
  Imports found;
  found.base = base;
  for (; entry->d_tag != DT_NULL; ++entry) {
    const uintptr_t at = place(base, entry->d_un.d_ptr);
    switch (entry->d_tag) {
      case DT_SYMTAB:
        found.symbols = reinterpret_cast<const ElfW(Sym)*>(at);
        break;
      case DT_STRTAB:
        found.names = reinterpret_cast<const char*>(at);
        break;
      case DT_JMPREL:
        found.calls.first = reinterpret_cast<const ElfW(Rela)*>(at);
        break;
      case DT_PLTRELSZ:
        found.calls.bytes = entry->d_un.d_val;
        break;
      case DT_RELA:
        found.data.first = reinterpret_cast<const ElfW(Rela)*>(at);
        break;
      case DT_RELASZ:
        found.data.bytes = entry->d_un.d_val;
        break;
      default:
        break;
    }
  }
  return found;
}

// The table is read-only once the linker has filled it, and again afterwards.
bool write_slot(uintptr_t slot, void* function, bool read_only) {
  const uintptr_t page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  void* page = reinterpret_cast<void*>(slot & ~(page_bytes - 1));
  if (mprotect(page, page_bytes, PROT_READ | PROT_WRITE) != 0) return false;
  memcpy(reinterpret_cast<void*>(slot), &function, sizeof function);
  return !read_only || mprotect(page, page_bytes, PROT_READ) == 0;
}

bool replace_in(const Imports& imports, const Imports::Table& table, const Wanted& wanted) {
  bool replaced = false;
  for (size_t i = 0; table.first != nullptr && i < table.bytes / sizeof(ElfW(Rela)); ++i) {
    const ElfW(Rela)& entry = table.first[i];
    const uint64_t type = ELF64_R_TYPE(entry.r_info);
    if (type != kSlotType && type != kDataType) continue;
    const ElfW(Sym)& symbol = imports.symbols[ELF64_R_SYM(entry.r_info)];
    if (strcmp(imports.names + symbol.st_name, wanted.name) != 0) continue;
    const bool read_only = entry.r_offset - imports.relro_at < imports.relro_bytes;
    if (!write_slot(imports.base + entry.r_offset, wanted.function, read_only)) return false;
    replaced = true;
  }
  return replaced;
}

int look_at(dl_phdr_info* info, size_t, void* data) {
  auto& wanted = *static_cast<Wanted*>(data);
  if (info->dlpi_name == nullptr || !std::string_view(info->dlpi_name).ends_with(wanted.library)) {
    return 0;
  }
  const ElfW(Phdr)* dynamic = nullptr, *relro = nullptr;
  for (size_t i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)* part = &info->dlpi_phdr[i];
    if (part->p_type == PT_DYNAMIC) dynamic = part;
    if (part->p_type == PT_GNU_RELRO) relro = part;
  }
  if (dynamic == nullptr) return 1;
  Imports imports = imports_of(
      info->dlpi_addr, reinterpret_cast<const ElfW(Dyn)*>(info->dlpi_addr + dynamic->p_vaddr));
  if (relro != nullptr) {
    imports.relro_at = relro->p_vaddr;
    imports.relro_bytes = relro->p_memsz;
  }
  if (imports.symbols == nullptr || imports.names == nullptr) return 1;
  wanted.replaced |= replace_in(imports, imports.calls, wanted);
  wanted.replaced |= replace_in(imports, imports.data, wanted);
  return 1;
}

}  // namespace

bool replace_import(const char* library, const char* name, void* function) noexcept {
  Wanted wanted{library, name, function};
  dl_iterate_phdr(look_at, &wanted);
  return wanted.replaced;
}

}  // namespace bulkhead::php
