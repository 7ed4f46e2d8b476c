/* Counters by which threads share out the sections of batches, which come one after the other. Where the
   compiler has no atomic numbers that we know of there is nobody to share with. */
#ifndef SKGD_TEAM_H
#define SKGD_TEAM_H

#include <stddef.h>

#if defined(__GNUC__)
#define SKGD_TEAMS 1
#define SKGD_LOOK(x) __atomic_load_n(x, __ATOMIC_ACQUIRE)
#define SKGD_TELL(x, value) __atomic_store_n(x, value, __ATOMIC_RELEASE)
#define SKGD_REPLACE(x, old, value) \
    __atomic_compare_exchange_n(x, &(old), value, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#include <sched.h>
#define SKGD_GIVE_WAY() sched_yield()
#else
#define SKGD_TEAMS 0
#define SKGD_LOOK(x) (*(x))
#define SKGD_TELL(x, value) (*(x) = (value))
#define SKGD_REPLACE(x, old, value) (*(x) = (value), 1)
#define SKGD_GIVE_WAY()
#endif

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define SKGD_PAUSE() __builtin_ia32_pause()
#else
#define SKGD_PAUSE()
#endif

/* Looks for news, some nanoseconds apart, before another process may have the core. */
#define SKGD_LOOKS 2000
#define SKGD_SECTIONS 4

/* The number of the last batch whose section was begun, and ended. What threads write to is apart by a
   cache line. */
typedef struct {
    ptrdiff_t begun, ended;
    char rest[64 - 2 * sizeof(ptrdiff_t)];
} skgd_section;

/* Batches are numbered from 1. */
typedef struct {
    ptrdiff_t batch; /* whose sections may be begun */
    ptrdiff_t over;
    char rest[64 - 2 * sizeof(ptrdiff_t)];
    skgd_section section[SKGD_SECTIONS];
} skgd_team;

static inline void skgd_wait(ptrdiff_t *looks)
{
    if (++*looks < SKGD_LOOKS)
        SKGD_PAUSE();
    else
        SKGD_GIVE_WAY();
}

/* Wait for a batch after another one; return its number, or 0 at the end. */
static inline ptrdiff_t skgd_next_batch(skgd_team *team, ptrdiff_t last)
{
    ptrdiff_t batch, looks = 0;
    while (!SKGD_LOOK(&team->over)) {
        if ((batch = SKGD_LOOK(&team->batch)) > last)
            return batch;
        skgd_wait(&looks);
    }
    return 0;
}

/* Whether a section of a batch is the caller's to work on: nobody else has begun it. */
static inline int skgd_begin_section(skgd_team *team, ptrdiff_t section, ptrdiff_t batch)
{
    ptrdiff_t begun = SKGD_LOOK(&team->section[section].begun);
    while (begun < batch)
        if (SKGD_REPLACE(&team->section[section].begun, begun, batch))
            return 1;
    return 0;
}

static inline void skgd_end_section(skgd_team *team, ptrdiff_t section, ptrdiff_t batch)
{
    SKGD_TELL(&team->section[section].ended, batch);
}

/* Wait for the end of a section of a batch; return whether it came before the end of all. */
static inline int skgd_await_section(skgd_team *team, ptrdiff_t section, ptrdiff_t batch)
{
    ptrdiff_t looks = 0;
    while (SKGD_LOOK(&team->section[section].ended) < batch) {
        if (SKGD_LOOK(&team->over))
            return 0;
        skgd_wait(&looks);
    }
    return 1;
}

#endif
