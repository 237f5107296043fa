/* Preloaded into a process: allocations of logly's core fail, but for no other code's.

   `fail_allocations(first, end)`, as CPython's `_testcapi.set_nomemory`: the n-th from now on fails for first < n <= end,
   counted over all threads, where the caller of malloc, calloc or realloc is in a library whose name has "/_core." in it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static volatile long first, end, seen;
static volatile int armed;
static char *core_begin, *core_end;

static int find_core(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    if (!strstr(info->dlpi_name, "/_core.")) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD || !(info->dlpi_phdr[i].p_flags & PF_X)) continue;
        core_begin = (char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        core_end = core_begin + info->dlpi_phdr[i].p_memsz;
    }
    return 1;
}

void fail_allocations(int from, int until) {
    if (!core_begin) dl_iterate_phdr(find_core, NULL);
    seen = 0;
    first = from;
    end = until;
    __atomic_store_n(&armed, 1, __ATOMIC_SEQ_CST);
}

void fail_no_allocation(void) { __atomic_store_n(&armed, 0, __ATOMIC_SEQ_CST); }

long allocations_seen(void) { return seen; }

static int fails(void *caller) {
    if (!armed || (char *)caller < core_begin || (char *)caller >= core_end) return 0;
    long number = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (number <= first || number > end) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size); }

void *calloc(size_t count, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(block, size);
}
