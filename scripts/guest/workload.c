/*
 * What runs inside the test guest: every byte that it keeps in memory and on disk can be checked by itself at any time,
 * so that a page or sector that is lost, old, torn or another's shows within a second, inside the guest.
 *
 * Its words are arguments: pattern-mib=N (memory under the pattern), rate=N (pages written a second, 0: none),
 * docs=1 (the program of QEMU's docs/xbzrle.txt: 16 MiB, one byte in each KiB counted up, without a pause),
 * disk=PATH (a block device), tick-ms=N.
 * Lines on the console, each one write: `N <number>` every tick, without hole; READY once, when all memory and sectors
 * hold their pattern; PATTERN ok, DOCS ok, DISK ok after a complete verification, at most two a second of each; ERROR
 * and what was wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { UNIT_BYTES = 4096, UNIT_WORDS = UNIT_BYTES / 8, DISK_UNITS = 1024, STRIDE = 7919 };
enum { DOCS_BYTES = 16 << 20, DOCS_STEP = 1024, ERRORS_SHOWN = 20 };

static long pattern_mib = 0, rate = 0, docs = 0, tick_ms = 10;
static const char *disk_path = NULL;
static atomic_int starting = 0;
static atomic_int error_count = 0;

/* A line is one write, so that lines of several threads never mix. */
static void say(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    for (int written = 0; written < length;) {
        ssize_t count = write(1, line + written, length - written);
        if (count > 0)
            written += count;
    }
}

static void report_unit(const char *kind, uint64_t index, int word, uint64_t wanted, uint64_t found)
{
    if (atomic_fetch_add(&error_count, 1) < ERRORS_SHOWN)
        say("ERROR %s %llu word %d: %016llx is wanted, %016llx is there", kind, (unsigned long long)index, word,
            (unsigned long long)wanted, (unsigned long long)found);
}

static void report_call(const char *what)
{
    atomic_fetch_add(&error_count, 1);
    say("ERROR %s: %s", what, strerror(errno));
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Whether half a second has gone by since this was true the last time. */
static int is_due(double *last)
{
    double now = seconds();
    if (now - *last < 0.5)
        return 0;
    *last = now;
    return 1;
}

static void started(void)
{
    if (atomic_fetch_sub(&starting, 1) == 1)
        say("READY");
}

/*
 * Word of a unit (page or sector block) of a generation. Every eighth generation is all zeros. Generations in groups of
 * four share all but two words, so that most changes are small ones and every fourth is a whole page.
 */
static uint64_t word_of(uint64_t index, uint32_t generation, int word)
{
    if (generation % 8 == 7)
        return 0;
    if (word == 0)
        return index << 32 | generation;
    uint64_t base = (index + 1) * 0x9e3779b97f4a7c15u ^ (generation / 4 + 1) * 0xd1b54a32d192ed03u;
    uint64_t plain = (base ^ base >> 29) + word * 0xbf58476d1ce4e5b9u;
    return word == 1 + (int)(generation * 37 % (UNIT_WORDS - 1)) ? ~plain : plain;
}

static void fill(uint64_t *unit, uint64_t index, uint32_t generation)
{
    for (int word = 0; word < UNIT_WORDS; word++)
        unit[word] = word_of(index, generation, word);
}

static void verify(const char *kind, const uint64_t *unit, uint64_t index, uint32_t generation)
{
    for (int word = 0; word < UNIT_WORDS; word++) {
        uint64_t wanted = word_of(index, generation, word);
        if (unit[word] != wanted) {
            report_unit(kind, index, word, wanted, unit[word]);
            return;
        }
    }
}

static const char *verdict(void)
{
    return atomic_load(&error_count) == 0 ? "ok" : "bad";
}

/* The numbers: nothing of the workload may delay them. */
static void *tick(void *unused)
{
    (void)unused;
    struct sched_param priority = {.sched_priority = 10};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) != 0)
        report_call("priority of the numbers");
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (uint64_t number = 1;; number++) {
        say("N %llu", (unsigned long long)number);
        next.tv_nsec += tick_ms * 1000000;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return NULL;
}

static void *keep_pattern(void *unused)
{
    (void)unused;
    uint64_t count = (uint64_t)pattern_mib * 256;
    uint64_t *memory = mmap(NULL, count * UNIT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint32_t *generations = calloc(count, sizeof *generations);
    if (memory == MAP_FAILED || generations == NULL) {
        report_call("memory for the pattern");
        return NULL;
    }
    for (uint64_t page = 0; page < count; page++)
        fill(memory + page * UNIT_WORDS, page, generations[page]);
    started();
    double begin = seconds(), last = begin;
    uint64_t written = 0, target = 0;
    for (uint64_t pass = 1;; pass++) {
        for (uint64_t page = 0; page < count; page++) {
            verify("page", memory + page * UNIT_WORDS, page, generations[page]);
            if (page % 16 != 0)
                continue;
            for (uint64_t due = (seconds() - begin) * rate; written < due; written++) {
                fill(memory + target * UNIT_WORDS, target, ++generations[target]);
                target = (target + STRIDE) % count;
            }
        }
        if (is_due(&last))
            say("PATTERN %s pass %llu, %llu pages, %llu written", verdict(), (unsigned long long)pass,
                (unsigned long long)count, (unsigned long long)written);
    }
    return NULL;
}

static void verify_docs(const uint8_t *memory, uint8_t counted)
{
    for (long at = 0; at < DOCS_BYTES; at++) {
        uint8_t wanted = at % DOCS_STEP == 0 ? counted : 0;
        if (memory[at] != wanted) {
            report_unit("docs byte", at, 0, wanted, memory[at]);
            return;
        }
    }
}

static void *count_bytes(void *unused)
{
    (void)unused;
    uint8_t *memory = mmap(NULL, DOCS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        report_call("memory for the program of docs/xbzrle.txt");
        return NULL;
    }
    memset(memory, 0, DOCS_BYTES);
    started();
    double last = seconds();
    for (uint64_t pass = 1;; pass++) {
        for (long at = 0; at < DOCS_BYTES; at += DOCS_STEP)
            ((volatile uint8_t *)memory)[at]++;
        if (!is_due(&last))
            continue;
        verify_docs(memory, pass);
        say("DOCS %s pass %llu", verdict(), (unsigned long long)pass);
    }
    return NULL;
}

static int transfer(int disk, uint64_t *unit, uint64_t index, int is_write)
{
    off_t at = (off_t)index * UNIT_BYTES;
    ssize_t count = is_write ? pwrite(disk, unit, UNIT_BYTES, at) : pread(disk, unit, UNIT_BYTES, at);
    if (count == UNIT_BYTES)
        return 0;
    report_call(is_write ? "writing the disk" : "reading the disk");
    return -1;
}

/* Past the cache, each write flushed: what is read back is what shared storage holds. */
static void *keep_disk(void *unused)
{
    (void)unused;
    static uint32_t generations[DISK_UNITS];
    uint64_t *unit = aligned_alloc(UNIT_BYTES, UNIT_BYTES);
    int disk = open(disk_path, O_RDWR | O_DIRECT | O_DSYNC);
    if (unit == NULL || disk < 0) {
        report_call(disk_path);
        return NULL;
    }
    for (uint64_t index = 0; index < DISK_UNITS; index++) {
        fill(unit, index, 0);
        transfer(disk, unit, index, 1);
    }
    started();
    double last = seconds();
    uint64_t written = 0, target = 0;
    for (uint64_t pass = 1;; pass++) {
        for (uint64_t index = 0; index < DISK_UNITS; index++) {
            if (transfer(disk, unit, index, 0) == 0)
                verify("sector block", unit, index, generations[index]);
            if (index % 4 != 0)
                continue;
            fill(unit, target, ++generations[target]);
            transfer(disk, unit, target, 1);
            written++;
            target = (target + STRIDE) % DISK_UNITS;
            usleep(2000);
        }
        if (is_due(&last))
            say("DISK %s pass %llu, %d blocks, %llu written", verdict(), (unsigned long long)pass, DISK_UNITS,
                (unsigned long long)written);
    }
    return NULL;
}

static int has_key(const char *word, const char *key, const char **value)
{
    size_t length = strlen(key);
    if (strncmp(word, key, length) != 0 || word[length] != '=')
        return 0;
    *value = word + length + 1;
    return 1;
}

/* Words that are not the workload's are the kernel's. */
static void read_options(int count, char **words)
{
    const char *value;
    for (int index = 1; index < count; index++) {
        if (has_key(words[index], "pattern-mib", &value))
            pattern_mib = atol(value);
        else if (has_key(words[index], "rate", &value))
            rate = atol(value);
        else if (has_key(words[index], "docs", &value))
            docs = atol(value);
        else if (has_key(words[index], "tick-ms", &value))
            tick_ms = atol(value);
        else if (has_key(words[index], "disk", &value))
            disk_path = value;
    }
}

int main(int count, char **words)
{
    pthread_t thread;
    read_options(count, words);
    atomic_store(&starting, 1 + (pattern_mib > 0) + (docs > 0) + (disk_path != NULL));
    pthread_create(&thread, NULL, tick, NULL);
    if (pattern_mib > 0)
        pthread_create(&thread, NULL, keep_pattern, NULL);
    if (docs > 0)
        pthread_create(&thread, NULL, count_bytes, NULL);
    if (disk_path != NULL)
        pthread_create(&thread, NULL, keep_disk, NULL);
    started();
    pthread_join(thread, NULL);
    say("ERROR a thread of the workload has ended");
    for (;;)
        pause();
}
