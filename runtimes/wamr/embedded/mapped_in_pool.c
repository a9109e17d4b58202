/* In place of WAMR's posix_memmap.c: what would be mapped is taken from the pool, as on a device that maps nothing. */

#include "platform_api_vmcore.h"
#include "wasm_export.h"

/* Sections of machine code want no more, and linear memory is asked for no more. */
#define ALIGNMENT 64u

void *
os_mmap(void *hint, size_t size, int prot, int flags, os_file_handle file)
{
    (void)hint;
    (void)prot;
    (void)flags;
    (void)file;
    uint8 *raw = wasm_runtime_malloc((uint32)size + ALIGNMENT);
    if (!raw)
        return NULL;
    uint8 *place = (uint8 *)(((uintptr_t)raw + ALIGNMENT) & ~(uintptr_t)(ALIGNMENT - 1));
    /* There is room for it: the allocator's own alignment is that of a pointer. */
    ((uint8 **)place)[-1] = raw;
    /* As mapped memory is. */
    memset(place, 0, size);
    return place;
}

void
os_munmap(void *place, size_t size)
{
    (void)size;
    if (place)
        wasm_runtime_free(((uint8 **)place)[-1]);
}

int
os_mprotect(void *place, size_t size, int prot)
{
    (void)place;
    (void)size;
    (void)prot;
    return 0;
}

void *
os_mremap(void *place, size_t old_size, size_t new_size)
{
    return os_mremap_slow(place, old_size, new_size);
}

void
os_dcache_flush(void)
{
}

void
os_icache_flush(void *start, size_t length)
{
    __builtin___clear_cache((char *)start, (char *)start + length);
}
