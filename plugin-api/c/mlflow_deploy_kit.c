/*
 * mlflow_deploy_kit.c: implements mlflow_deploy_kit.h. Three parts: JSON, replies, and the instance with its calls.
 *
 * One lock per instance guards everything that its threads share. No function of the host or of the plugin is called
 * under the lock. A call and a client have a count of references. `live` counts all calls and clients, so that
 * `shutdown` waits for the last one. An instance itself is never freed, because the host may call it later.
 */
#define _POSIX_C_SOURCE 200809L
#ifdef __APPLE__
#define _DARWIN_C_SOURCE
#include <xlocale.h>
#endif

#include "mlflow_deploy_kit.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- Reading JSON ---------------------------------------------------------------------------------------------- */

#define MAX_DEPTH 128

/* A value. Its elements or members follow it in memory, and `span` is the number of values up to its next sibling. */
struct mdp_json {
    mdp_type type;
    size_t span, count;
    mdp_text key, raw, string;
};

/* A document: the values in the order of the text, and the decoded text of all strings. */
typedef struct document {
    char *strings;
    mdp_json values[];
} document;

typedef struct reader {
    const char *begin, *at, *end;
    document *document;
    size_t count, capacity;
    char *decoded;
} reader;

static bool read_value(reader *in, mdp_text key, int depth);

mdp_text mdp_of(const char *string) { return (mdp_text){string, string == NULL ? 0 : strlen(string)}; }

bool mdp_equals(mdp_text text, const char *string) {
    return text.len == strlen(string) && (text.len == 0 || memcmp(text.ptr, string, text.len) == 0);
}

static int peek(const reader *in) { return in->at < in->end ? (unsigned char)*in->at : -1; }

static bool take(reader *in, int byte) {
    bool is_next = peek(in) == byte;
    in->at += is_next;
    return is_next;
}

static void skip_space(reader *in) {
    while (in->at < in->end && memchr(" \t\r\n", *in->at, 4) != NULL) in->at++;
}

static bool read_word(reader *in, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0) return false;
    in->at += length;
    return true;
}

static bool read_digits(reader *in) {
    const char *begin = in->at;
    while (peek(in) >= '0' && peek(in) <= '9') in->at++;
    return in->at > begin;
}

static bool read_number(reader *in) {
    take(in, '-');
    if (!take(in, '0') && !read_digits(in)) return false;
    if (take(in, '.') && !read_digits(in)) return false;
    if (!take(in, 'e') && !take(in, 'E')) return true;
    if (!take(in, '+')) take(in, '-');
    return read_digits(in);
}

/* Returns the length of the character at `at` in UTF-8. 0 if the bytes are not a character in its shortest form. */
static size_t character_length(const char *at, const char *end) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint32_t first = (unsigned char)*at;
    size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    uint32_t character = first & (0x3Fu >> more);
    if (first < 0x80) return 1;
    if (first < 0xC2 || first > 0xF4 || (size_t)(end - at) <= more) return 0;
    for (size_t byte = 1; byte <= more; byte++) {
        uint32_t next = (unsigned char)at[byte];
        if (next < 0x80 || next > 0xBF) return 0;
        character = character << 6 | (next & 0x3F);
    }
    bool is_surrogate = character >= 0xD800 && character <= 0xDFFF;
    return character < least[more] || character > 0x10FFFF || is_surrogate ? 0 : more + 1;
}

/* Reads four hexadecimal digits. Returns -1 if there are fewer. */
static int32_t read_hex(reader *in) {
    int32_t unit = 0;
    for (int digit = 0; digit < 4; digit++) {
        int byte = peek(in);
        const char *digits = "0123456789abcdef";
        const char *found = byte <= 0 ? NULL : strchr(digits, byte >= 'A' && byte <= 'F' ? byte | 0x20 : byte);
        if (found == NULL) return -1;
        unit = unit * 16 + (int32_t)(found - digits);
        in->at++;
    }
    return unit;
}

static bool decode_unit(reader *in) {
    int32_t unit = read_hex(in);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return false;
    uint32_t character = (uint32_t)unit;
    if (unit >= 0xD800 && unit < 0xDC00) {
        if (!take(in, '\\') || !take(in, 'u')) return false;
        int32_t low = read_hex(in);
        if (low < 0xDC00 || low > 0xDFFF) return false;
        character = 0x10000 + ((character - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    }
    int more = character >= 0x10000 ? 3 : character >= 0x800 ? 2 : character >= 0x80 ? 1 : 0;
    static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
    *in->decoded++ = (char)(first[more] | character >> (6 * more));
    while (more-- > 0) *in->decoded++ = (char)(0x80 | (character >> (6 * more) & 0x3F));
    return true;
}

/* Reads a string, and appends its text to the decoded strings, which have a byte for each byte of the document. */
static bool read_string(reader *in, mdp_text *text) {
    if (!take(in, '"')) return false;
    text->ptr = in->decoded;
    while (in->at < in->end) {
        if (take(in, '"')) {
            text->len = (size_t)(in->decoded - text->ptr);
            *in->decoded++ = '\0';
            return true;
        }
        if (take(in, '\\')) {
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
            int byte = peek(in);
            const char *found = byte <= 0 ? NULL : strchr(from, byte);
            if (found == NULL && byte != 'u') return false;
            in->at++;
            if (found != NULL) *in->decoded++ = to[found - from];
            else if (!decode_unit(in)) return false;
            continue;
        }
        size_t length = (unsigned char)*in->at < 0x20 ? 0 : character_length(in->at, in->end);
        if (length == 0) return false;
        memcpy(in->decoded, in->at, length);
        in->decoded += length;
        in->at += length;
    }
    return false;
}

/* Reads the elements or members up to the closing bracket. Stores their number in the value at `index`. */
static bool read_inside(reader *in, size_t index, char close, int depth) {
    size_t count = 0;
    if (depth == 0) return false;
    in->at++;
    skip_space(in);
    if (take(in, close)) return true;
    do {
        mdp_text key = {NULL, 0};
        skip_space(in);
        if (close == '}') {
            if (!read_string(in, &key)) return false;
            skip_space(in);
            if (!take(in, ':')) return false;
        }
        if (!read_value(in, key, depth - 1)) return false;
        count++;
        skip_space(in);
    } while (take(in, ','));
    in->document->values[index].count = count;
    return take(in, close);
}

/* Adds a value to the document. Returns false if memory runs out. */
static bool add_value(reader *in, mdp_text key) {
    if (in->count == in->capacity) {
        size_t capacity = in->capacity * 2 + 8;
        document *grown = realloc(in->document, sizeof *grown + capacity * sizeof *grown->values);
        if (grown == NULL) return false;
        in->document = grown;
        in->capacity = capacity;
    }
    in->document->values[in->count++] = (mdp_json){.key = key};
    return true;
}

static bool read_value(reader *in, mdp_text key, int depth) {
    mdp_type type = MDP_NULL;
    mdp_text string = {NULL, 0};
    size_t index = in->count;
    bool is_valid;
    skip_space(in);
    const char *begin = in->at;
    if (!add_value(in, key)) return false;
    switch (peek(in)) {
    case '{': type = MDP_OBJECT, is_valid = read_inside(in, index, '}', depth); break;
    case '[': type = MDP_LIST, is_valid = read_inside(in, index, ']', depth); break;
    case '"': type = MDP_STRING, is_valid = read_string(in, &string); break;
    case 't': type = MDP_BOOL, is_valid = read_word(in, "true"); break;
    case 'f': type = MDP_BOOL, is_valid = read_word(in, "false"); break;
    case 'n': is_valid = read_word(in, "null"); break;
    default: type = MDP_NUMBER, is_valid = read_number(in);
    }
    mdp_json *value = &in->document->values[index];
    value->type = type;
    value->string = string;
    value->span = in->count - index;
    value->raw = (mdp_text){begin, (size_t)(in->at - begin)};
    return is_valid;
}

mdp_json *mdp_parse(mdp_text text, size_t *position) {
    reader in = {.begin = text.ptr, .at = text.ptr, .end = text.len == 0 ? text.ptr : text.ptr + text.len};
    char *strings = malloc(text.len + 1);
    in.decoded = strings;
    bool is_valid = strings != NULL && text.len > 0 && read_value(&in, (mdp_text){NULL, 0}, MAX_DEPTH);
    if (is_valid) skip_space(&in);
    if (is_valid && in.at == in.end) {
        in.document->strings = strings;
        return in.document->values;
    }
    if (position != NULL) *position = text.len == 0 ? 0 : (size_t)(in.at - in.begin);
    free(strings);
    free(in.document);
    return NULL;
}

void mdp_free(mdp_json *root) {
    if (root == NULL) return;
    document *whole = (document *)(void *)((char *)root - offsetof(document, values));
    free(whole->strings);
    free(whole);
}

mdp_type mdp_type_of(const mdp_json *value) { return value == NULL ? MDP_NULL : value->type; }

size_t mdp_count(const mdp_json *value) { return value == NULL ? 0 : value->count; }

const mdp_json *mdp_first(const mdp_json *parent) { return mdp_count(parent) == 0 ? NULL : parent + 1; }

const mdp_json *mdp_next(const mdp_json *parent, const mdp_json *child) {
    const mdp_json *next = child + child->span;
    return next < parent + parent->span ? next : NULL;
}

const mdp_json *mdp_get(const mdp_json *object, const char *key) {
    const mdp_json *found = NULL;
    if (mdp_type_of(object) != MDP_OBJECT) return NULL;
    for (const mdp_json *member = mdp_first(object); member != NULL; member = mdp_next(object, member))
        if (mdp_equals(member->key, key)) found = member;
    return mdp_type_of(found) == MDP_NULL ? NULL : found;
}

mdp_text mdp_key(const mdp_json *member) { return member == NULL ? (mdp_text){NULL, 0} : member->key; }

mdp_text mdp_raw(const mdp_json *value) { return value == NULL ? (mdp_text){NULL, 0} : value->raw; }

mdp_text mdp_string(const mdp_json *value) { return value == NULL ? (mdp_text){NULL, 0} : value->string; }

bool mdp_bool(const mdp_json *value, bool otherwise) {
    return mdp_type_of(value) == MDP_BOOL ? *value->raw.ptr == 't' : otherwise;
}

int64_t mdp_integer(const mdp_json *value, int64_t otherwise) {
    char digits[24];
    mdp_text raw = mdp_raw(value);
    if (mdp_type_of(value) != MDP_NUMBER || raw.len >= sizeof digits) return otherwise;
    memcpy(digits, raw.ptr, raw.len);
    digits[raw.len] = '\0';
    char *end;
    errno = 0;
    long long number = strtoll(digits, &end, 10);
    return *end == '\0' && errno == 0 ? (int64_t)number : otherwise;
}

/* Makes the thread use a point in numbers, whatever locale the host has set. Returns the locale to restore. */
static locale_t use_point(locale_t *point) {
    *point = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    return *point == (locale_t)0 ? (locale_t)0 : uselocale(*point);
}

static void restore_locale(locale_t before, locale_t point) {
    if (point == (locale_t)0) return;
    uselocale(before);
    freelocale(point);
}

double mdp_number(const mdp_json *value, double otherwise) {
    mdp_text raw = mdp_raw(value);
    if (mdp_type_of(value) != MDP_NUMBER) return otherwise;
    char *digits = malloc(raw.len + 1);
    if (digits == NULL) return otherwise;
    memcpy(digits, raw.ptr, raw.len);
    digits[raw.len] = '\0';
    locale_t point, before = use_point(&point);
    double number = strtod(digits, NULL);
    restore_locale(before, point);
    free(digits);
    return isfinite(number) ? number : otherwise;
}

mdp_text mdp_unknown_key(const mdp_json *object, const char *const *known) {
    for (const mdp_json *member = mdp_first(object); member != NULL; member = mdp_next(object, member)) {
        const char *const *each = known;
        while (*each != NULL && !mdp_equals(member->key, *each)) each++;
        if (*each == NULL) return member->key;
    }
    return (mdp_text){NULL, 0};
}

/* ---- Writing JSON ---------------------------------------------------------------------------------------------- */

void mdp_append(mdp_buffer *buffer, mdp_text bytes) {
    if (buffer->has_failed || bytes.len == 0) return;
    if (bytes.len > buffer->capacity - buffer->len) {
        size_t capacity = buffer->capacity + buffer->capacity / 2;
        if (capacity < buffer->len + bytes.len) capacity = buffer->len + bytes.len;
        char *grown = realloc(buffer->ptr, capacity);
        if (grown == NULL) {
            buffer->has_failed = true;
            return;
        }
        buffer->ptr = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->ptr + buffer->len, bytes.ptr, bytes.len);
    buffer->len += bytes.len;
}

void mdp_release(mdp_buffer *buffer) {
    free(buffer->ptr);
    *buffer = (mdp_buffer){0};
}

static void append(mdp_buffer *buffer, const char *string) { mdp_append(buffer, mdp_of(string)); }

static void append_string(mdp_buffer *json, mdp_text text) {
    const char *at = text.ptr, *end = text.len == 0 ? at : at + text.len, *plain = at;
    append(json, "\"");
    while (at < end) {
        char escape[8];
        size_t length = character_length(at, end);
        unsigned char byte = (unsigned char)*at;
        if (length > 0 && byte >= 0x20 && byte != '"' && byte != '\\') {
            at += length;
            continue;
        }
        mdp_append(json, (mdp_text){plain, (size_t)(at - plain)});
        snprintf(escape, sizeof escape, "\\u%04x", length == 0 ? 0xFFFDu : byte);
        append(json, escape);
        plain = ++at;
    }
    if (at > plain) mdp_append(json, (mdp_text){plain, (size_t)(at - plain)});
    append(json, "\"");
}

/* Appends the comma before a value, if it needs one, and its key. */
static void append_key(mdp_buffer *json, const char *key) {
    char last = json->len == 0 ? '{' : json->ptr[json->len - 1];
    if (last != '{' && last != '[' && last != ':') append(json, ",");
    if (key == NULL) return;
    append_string(json, mdp_of(key));
    append(json, ":");
}

void mdp_put_raw(mdp_buffer *json, const char *key, mdp_text value) {
    append_key(json, key);
    mdp_append(json, value);
}

void mdp_begin(mdp_buffer *json, const char *key, char bracket) {
    mdp_put_raw(json, key, (mdp_text){&bracket, 1});
}

void mdp_end(mdp_buffer *json, char bracket) { mdp_append(json, (mdp_text){&bracket, 1}); }

void mdp_put_string(mdp_buffer *json, const char *key, mdp_text text) {
    append_key(json, key);
    append_string(json, text);
}

void mdp_put_bool(mdp_buffer *json, const char *key, bool value) {
    mdp_put_raw(json, key, mdp_of(value ? "true" : "false"));
}

void mdp_put_integer(mdp_buffer *json, const char *key, int64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    mdp_put_raw(json, key, mdp_of(digits));
}

void mdp_put_number(mdp_buffer *json, const char *key, double value) {
    char digits[32] = "null";
    locale_t point, before = use_point(&point);
    if (isfinite(value)) snprintf(digits, sizeof digits, "%.17g", value);
    restore_locale(before, point);
    mdp_put_raw(json, key, mdp_of(digits));
}

/* ---- Replies --------------------------------------------------------------------------------------------------- */

/* Puts a formatted message. Cuts it if memory runs out. */
static void put_message(mdp_buffer *json, const char *format, va_list arguments) {
    char some[256], *all = NULL;
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(some, sizeof some, format, arguments);
    if (length >= (int)sizeof some) all = malloc((size_t)length + 1);
    if (all != NULL) vsnprintf(all, (size_t)length + 1, format, again);
    va_end(again);
    mdp_put_string(json, "message", mdp_of(length < 0 ? format : all != NULL ? all : some));
    free(all);
}

mdp_reply mdp_ok(void) { return (mdp_reply){.status = MLFLOW_DEPLOY_OK}; }

mdp_reply mdp_json_reply(mdp_buffer json) { return (mdp_reply){.status = MLFLOW_DEPLOY_OK, .body = json}; }

static mdp_buffer content_head(const char *content_type) {
    mdp_buffer head = {0};
    if (content_type == NULL) return head;
    mdp_begin(&head, NULL, '{');
    mdp_put_string(&head, "content_type", mdp_of(content_type));
    mdp_end(&head, '}');
    return head;
}

mdp_reply mdp_bytes_reply(const char *content_type, mdp_buffer bytes) {
    return (mdp_reply){.status = MLFLOW_DEPLOY_OK, .head = content_head(content_type), .body = bytes};
}

mdp_reply mdp_copy(const char *content_type, mdp_text bytes) {
    mdp_buffer copy = {0};
    mdp_append(&copy, bytes);
    return mdp_bytes_reply(content_type, copy);
}

mdp_reply mdp_error(const char *code, const char *format, ...) {
    mdp_reply error = {.status = MLFLOW_DEPLOY_ERROR};
    va_list arguments;
    va_start(arguments, format);
    mdp_begin(&error.body, NULL, '{');
    mdp_put_string(&error.body, "code", mdp_of(code));
    put_message(&error.body, format, arguments);
    mdp_end(&error.body, '}');
    va_end(arguments);
    return error;
}

mdp_reply mdp_retryable(mdp_reply error) {
    if (error.status == MLFLOW_DEPLOY_OK || error.body.len == 0) return error;
    error.body.len--;
    mdp_put_bool(&error.body, "retryable", true);
    mdp_end(&error.body, '}');
    return error;
}

void mdp_discard(mdp_reply reply) {
    mdp_release(&reply.head);
    mdp_release(&reply.body);
}

/* ---- The instance ---------------------------------------------------------------------------------------------- */

/* The number of cancels that are remembered for calls that have not arrived. */
#define EARLY_CANCELS MLFLOW_DEPLOY_EARLY_CANCELS
#define BUCKETS 512
/* The time after which a thread without work ends, in milliseconds. */
#define IDLE_MS 2000
#define STACK_BYTES (1024 * 1024)

typedef struct instance instance;

/* A client or a call: a node of a table by id, and of the queue of work. */
typedef struct entry {
    struct entry *next_in_table, *next_in_queue;
    uint64_t id;
    size_t references;
    bool is_client;
} entry;

typedef struct client {
    entry entry;
    void *value; /* belongs to the plugin */
} client;

struct mdp_call {
    entry entry;
    instance *instance;
    client *client; /* counted; for `open`, the client that it makes */
    mdp_function function;
    const char *operation; /* the name of the operation, NULL for `open` */
    const char *content_type;
    mdp_text head, body;
    uint64_t deadline, timeout_ms; /* the time in milliseconds; UINT64_MAX without a deadline */
    uint64_t credit;
    const char *stop;              /* the code of the error that stopped the call, or NULL */
    bool streams, is_sending, has_ended;
    pthread_cond_t changed; /* there is credit, or the call was stopped */
    char bytes[];           /* copies of the head and the body */
};

struct instance {
    mlflow_deploy_host host; /* a member that the host does not have is NULL */
    pid_t process;
    pthread_mutex_t lock;
    pthread_cond_t has_work, has_deadline; /* also signalled when the instance stops */
    entry *first, *last;                   /* the queue */
    size_t queued, threads, idle;
    bool has_timer, has_stopped;
    uint64_t next_deadline;
    size_t live; /* calls and clients that are not freed, and a shutdown in progress */
    uint64_t shutdown_call;
    entry *calls[BUCKETS], *clients[BUCKETS];
    uint64_t early[EARLY_CANCELS]; /* a ring */
    size_t early_next;
    instance *next; /* keeps every instance reachable */
};

static void *work(void *argument);
static void *watch_deadlines(void *argument);

#ifdef __APPLE__
#define CLOCK CLOCK_REALTIME
#else
#define CLOCK CLOCK_MONOTONIC
#endif

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t later(uint64_t ms) {
    uint64_t now = now_ms();
    return ms < UINT64_MAX - now ? now + ms : UINT64_MAX;
}

static bool make_condition(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
#ifndef __APPLE__
    pthread_condattr_setclock(&attributes, CLOCK);
#endif
    bool is_made = pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return is_made;
}

/* Waits until the condition is signalled or the time `end` has come, or longer or shorter. */
static void wait_until(pthread_cond_t *condition, instance *self, uint64_t end) {
    const uint64_t most = later(24 * 3600 * 1000); /* a time that every clock can hold */
    if (end > most) end = most;
    struct timespec time = {.tv_sec = (time_t)(end / 1000), .tv_nsec = (long)(end % 1000 * 1000000)};
    pthread_cond_timedwait(condition, &self->lock, &time);
}

static mlflow_deploy_slice slice(mdp_buffer bytes) {
    return (mlflow_deploy_slice){(const uint8_t *)bytes.ptr, bytes.len};
}

/* Sends a reply without memory of its own, which works after fork() too. */
static void reply_with_constant(const instance *self, uint64_t call, uint32_t status, const char *body) {
    mlflow_deploy_slice bytes = {(const uint8_t *)body, strlen(body)};
    self->host.reply(self->host.ctx, call, status, (mlflow_deploy_slice){NULL, 0}, bytes);
}

#define ERROR_JSON(code, message) "{\"code\":\"" code "\",\"message\":\"" message "\"}"
#define OUT_OF_MEMORY ERROR_JSON("RESOURCE_EXHAUSTED", "the plugin has no memory left for the call: try again later")

/* Sends a reply and frees its bytes. */
static void send_reply(const instance *self, uint64_t call, mdp_reply reply) {
    if (reply.head.has_failed || reply.body.has_failed)
        reply_with_constant(self, call, MLFLOW_DEPLOY_ERROR, OUT_OF_MEMORY);
    else
        self->host.reply(self->host.ctx, call, reply.status, slice(reply.head), slice(reply.body));
    mdp_discard(reply);
}

/* True in a fork of the process that made the instance: its threads do not exist, and its lock may be held forever. */
static bool has_forked(const instance *self) { return self->process != getpid(); }

/* ---- Tables and the queue: all under the lock ------------------------------------------------------------------ */

static void add_entry(entry **table, entry *added) {
    entry **bucket = &table[added->id % BUCKETS];
    added->next_in_table = *bucket;
    *bucket = added;
}

static entry *find_entry(entry **table, uint64_t id) {
    entry *found = table[id % BUCKETS];
    while (found != NULL && found->id != id) found = found->next_in_table;
    return found;
}

static void remove_entry(entry **table, const entry *removed) {
    entry **link = &table[removed->id % BUCKETS];
    while (*link != NULL && *link != removed) link = &(*link)->next_in_table;
    if (*link != NULL) *link = removed->next_in_table;
}

/* Starts a thread that handles no signals: they belong to the host. */
static bool start_thread(void *(*run)(void *), instance *self) {
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool has_started = pthread_create(&thread, &attributes, run, self) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return has_started;
}

/* Adds work to the queue, and starts a thread for it if none is idle. Fails if there is no thread at all. */
static bool enqueue(instance *self, entry *added) {
    if (self->queued >= self->idle && self->threads < MDP_MAX_THREADS) self->threads += start_thread(work, self);
    if (self->threads == 0) return false;
    added->next_in_queue = NULL;
    if (self->first == NULL) self->first = added;
    else self->last->next_in_queue = added;
    self->last = added;
    self->queued++;
    pthread_cond_signal(&self->has_work);
    return true;
}

/* Ends one of the things that `live` counts, and releases the lock. The last one of a stopped instance lets `shutdown`
 * reply. */
static void end_live(instance *self) {
    uint64_t call = --self->live == 0 ? self->shutdown_call : 0;
    if (call != 0) self->shutdown_call = 0;
    pthread_mutex_unlock(&self->lock);
    if (call != 0) send_reply(self, call, mdp_ok());
}

static void close_client(instance *self, client *closed) {
    if (mdp_plugin.close != NULL) mdp_plugin.close(closed->value);
    free(closed);
    pthread_mutex_lock(&self->lock);
    end_live(self);
}

/* Drops a reference to a client. The last one closes the client on a thread of the pool, because closing may block. */
static void drop_client(instance *self, client *dropped) {
    pthread_mutex_lock(&self->lock);
    bool is_inline = --dropped->entry.references == 0 && !enqueue(self, &dropped->entry);
    pthread_mutex_unlock(&self->lock);
    if (is_inline) close_client(self, dropped);
}

static void drop_call(mdp_call *call) {
    instance *self = call->instance;
    pthread_mutex_lock(&self->lock);
    bool is_last = --call->entry.references == 0;
    if (is_last) remove_entry(self->calls, &call->entry);
    pthread_mutex_unlock(&self->lock);
    if (!is_last) return;
    if (call->client != NULL) drop_client(self, call->client);
    pthread_cond_destroy(&call->changed);
    free(call);
    pthread_mutex_lock(&self->lock);
    end_live(self);
}

/* ---- The end of a call ----------------------------------------------------------------------------------------- */

static mdp_reply stopped(const mdp_call *call) {
    if (strcmp(call->stop, MLFLOW_DEPLOY_CODE_DEADLINE_EXCEEDED) != 0)
        return mdp_error(call->stop, "the call was cancelled");
    return mdp_error(call->stop, "the call took longer than its timeout of %llu ms: use a longer timeout",
                     (unsigned long long)call->timeout_ms);
}

/* Stops a call: it gets its reply at once, or after the chunk that is being sent. Called under the lock, which it
 * releases while it replies. */
static void stop_call(mdp_call *call, const char *code) {
    instance *self = call->instance;
    if (call->stop != NULL || call->has_ended) return;
    call->stop = code;
    pthread_cond_broadcast(&call->changed);
    if (call->is_sending) return;
    call->has_ended = true;
    call->entry.references++;
    pthread_mutex_unlock(&self->lock);
    send_reply(self, call->entry.id, stopped(call));
    drop_call(call);
    pthread_mutex_lock(&self->lock);
}

/* Sends the result of a call, or drops it if the call was stopped. The client of a successful `open` is known before
 * the reply. A stopped `open` that has made a client still owns it, so that the client is closed with the call. */
static void end_call(mdp_call *call, mdp_reply result) {
    instance *self = call->instance;
    client *unmade = NULL;
    pthread_mutex_lock(&self->lock);
    bool is_first = !call->has_ended;
    call->has_ended = true;
    if (call->operation == NULL && result.status != MLFLOW_DEPLOY_OK) {
        unmade = call->client;
        call->client = NULL;
        self->live--;
    } else if (call->operation == NULL && is_first) {
        call->client->entry.references++;
        add_entry(self->clients, &call->client->entry);
    }
    pthread_mutex_unlock(&self->lock);
    free(unmade);
    if (is_first) send_reply(self, call->entry.id, result);
    else mdp_discard(result);
}

/* ---- Arguments ------------------------------------------------------------------------------------------------- */

static mdp_reply invalid(const char *format, const char *name, const char *expected) {
    return mdp_error(MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE, format, name, expected);
}

/* Returns true if an argument has to be present and not null. */
static bool is_required(const char *operation, const char *name) {
    static const char *const required[][2] = {
        {"create_deployment", "name"},   {"create_deployment", "model_uri"}, {"update_deployment", "name"},
        {"delete_deployment", "name"},   {"get_deployment", "name"},         {"update_endpoint", "endpoint"},
        {"delete_endpoint", "endpoint"}, {"get_endpoint", "endpoint"},       {"invoke", "operation"},
        {"open", "target_uri"},          {"run_local", "target_uri"},        {"run_local", "name"},
        {"run_local", "model_uri"},
    };
    for (size_t row = 0; row < sizeof required / sizeof *required; row++)
        if (strcmp(required[row][0], operation) == 0 && strcmp(required[row][1], name) == 0) return true;
    return false;
}

/* Checks the arguments that the contract defines. Returns an error if one is missing or has a wrong type. */
static mdp_reply check_arguments(const char *operation, const mdp_json *arguments) {
    static const struct {
        const char *name;
        mdp_type type;
    } known[] = {
        {"target_uri", MDP_STRING}, {"options", MDP_OBJECT},         {"name", MDP_STRING},
        {"endpoint", MDP_STRING},   {"deployment_name", MDP_STRING}, {"model_uri", MDP_STRING},
        {"flavor", MDP_STRING},     {"operation", MDP_STRING},       {"config", MDP_OBJECT},
        {"content_type", MDP_STRING},
    };
    for (size_t each = 0; each < sizeof known / sizeof *known; each++) {
        const char *name = known[each].name;
        const mdp_json *value = mdp_get(arguments, name);
        const char *expected = known[each].type == MDP_STRING ? "a string" : "an object";
        if (value == NULL && is_required(operation, name))
            return invalid("the argument `%s` is missing: expected %s", name, expected);
        if (value != NULL && value->type != known[each].type)
            return invalid("the argument `%s` has the wrong type: expected %s", name, expected);
    }
    const mdp_json *name = mdp_get(arguments, "name");
    if (name == NULL) name = mdp_get(mdp_get(arguments, "config"), "name");
    if (strcmp(operation, "create_endpoint") == 0 && mdp_type_of(name) != MDP_STRING)
        return invalid("the argument `%s` is missing: expected %s", "name", "a string, here or in `config`");
    return mdp_ok();
}

/* ---- Threads --------------------------------------------------------------------------------------------------- */

static void run_function(mdp_call *call) {
    const char *operation = call->operation == NULL ? "open" : call->operation;
    mdp_text head = call->head.len == 0 ? mdp_of("{}") : call->head;
    size_t position = 0;
    mdp_json *arguments = mdp_parse(head, &position);
    mdp_reply result = mdp_ok();
    if (mdp_type_of(arguments) == MDP_OBJECT) {
        result = check_arguments(operation, arguments);
    } else if (arguments != NULL) {
        result = invalid("the arguments of `%s` are JSON of another type: expected %s", operation, "an object");
    } else {
        result = mdp_error(MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE,
                           "failed to read the arguments of `%s` at byte %zu: expected a JSON object in UTF-8 of at "
                           "most %d levels",
                           operation, position, MAX_DEPTH);
    }
    if (result.status == MLFLOW_DEPLOY_OK) {
        mdp_text content_type = mdp_string(mdp_get(arguments, "content_type"));
        call->content_type = content_type.ptr == NULL ? "application/json" : content_type.ptr;
        void *value = call->client == NULL ? NULL : call->client->value;
        if (call->operation != NULL) result = call->function(call, arguments, value);
        else if (mdp_plugin.open != NULL) result = mdp_plugin.open(call, arguments, &call->client->value);
    }
    end_call(call, result);
    mdp_free(arguments);
}

static void run_call(mdp_call *call) {
    pthread_mutex_lock(&call->instance->lock);
    bool has_ended = call->has_ended;
    pthread_mutex_unlock(&call->instance->lock);
    if (has_ended) end_call(call, (mdp_reply){.status = MLFLOW_DEPLOY_ERROR});
    else run_function(call);
    drop_call(call);
}

/* A thread of the pool. It ends if it has no work for a while, or if the instance has stopped and nothing is left. */
static void *work(void *argument) {
    instance *self = argument;
    pthread_mutex_lock(&self->lock);
    for (;;) {
        uint64_t end = later(IDLE_MS);
        self->idle++;
        while (self->first == NULL && !self->has_stopped && now_ms() < end) wait_until(&self->has_work, self, end);
        self->idle--;
        entry *next = self->first;
        if (next == NULL) break;
        self->first = next->next_in_queue;
        self->queued--;
        pthread_mutex_unlock(&self->lock);
        if (next->is_client) close_client(self, (client *)next);
        else run_call((mdp_call *)next);
        pthread_mutex_lock(&self->lock);
    }
    self->threads--;
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* Returns a call whose deadline has come, or NULL. Stores the earliest deadline of the others. */
static mdp_call *find_overdue(instance *self) {
    uint64_t now = now_ms();
    self->next_deadline = UINT64_MAX;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        for (entry *each = self->calls[bucket]; each != NULL; each = each->next_in_table) {
            mdp_call *call = (mdp_call *)each;
            if (call->stop != NULL || call->has_ended) continue;
            if (call->deadline <= now) return call;
            if (call->deadline < self->next_deadline) self->next_deadline = call->deadline;
        }
    }
    return NULL;
}

/* The thread that stops the calls whose deadline has come. */
static void *watch_deadlines(void *argument) {
    instance *self = argument;
    pthread_mutex_lock(&self->lock);
    while (!self->has_stopped) {
        mdp_call *overdue = find_overdue(self);
        if (overdue != NULL) stop_call(overdue, MLFLOW_DEPLOY_CODE_DEADLINE_EXCEEDED);
        else wait_until(&self->has_deadline, self, self->next_deadline);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* ---- The start of a call --------------------------------------------------------------------------------------- */

static bool is_readable(mlflow_deploy_slice bytes) { return bytes.ptr != NULL || bytes.len == 0; }

/* Copies a request into a new call. Returns NULL if memory runs out. */
static mdp_call *copy_request(instance *self, uint64_t id, const mlflow_deploy_request *request) {
    mlflow_deploy_slice head = request->head, body = request->body;
    if (head.len > SIZE_MAX / 4 || body.len > SIZE_MAX / 4) return NULL;
    mdp_call *call = malloc(sizeof *call + head.len + body.len);
    if (call == NULL) return NULL;
    *call = (mdp_call){.entry = {.id = id, .references = 1}, .instance = self, .timeout_ms = request->timeout_ms};
    call->credit = request->credit;
    call->deadline = request->timeout_ms == 0 ? UINT64_MAX : later(request->timeout_ms);
    call->head = (mdp_text){call->bytes, head.len};
    call->body = (mdp_text){call->bytes + head.len, body.len};
    if (head.len > 0) memcpy(call->bytes, head.ptr, head.len);
    if (body.len > 0) memcpy(call->bytes + head.len, body.ptr, body.len);
    if (make_condition(&call->changed)) return call;
    free(call);
    return NULL;
}

/* Forgets an early cancel of a call. Returns true if there was one. */
static bool take_early_cancel(instance *self, uint64_t id) {
    for (size_t each = 0; each < EARLY_CANCELS; each++) {
        if (self->early[each] != id) continue;
        self->early[each] = 0;
        return true;
    }
    return false;
}

static bool is_streaming(const char *operation) {
    return strcmp(operation, "predict_stream") == 0 || strcmp(operation, "run_local") == 0;
}

static bool has_client(const char *operation) {
    return strcmp(operation, "target_help") != 0 && strcmp(operation, "run_local") != 0;
}

/* Puts a call into the tables and the queue. Returns the error with which the call ends instead, or NULL. Called under
 * the lock. */
static const char *admit(instance *self, mdp_call *call, uint64_t client_id) {
    bool needs_client = call->operation != NULL && has_client(call->operation);
    if (take_early_cancel(self, call->entry.id)) return ERROR_JSON("CANCELLED", "the call was cancelled");
    if (self->has_stopped) return ERROR_JSON("CANCELLED", "the plugin was shut down");
    if (needs_client) call->client = (client *)find_entry(self->clients, client_id);
    if (needs_client && call->client == NULL)
        return ERROR_JSON("INTERNAL_ERROR", "the client of the call is not open: open a client first");
    if (call->deadline != UINT64_MAX && !self->has_timer) self->has_timer = start_thread(watch_deadlines, self);
    if ((call->deadline != UINT64_MAX && !self->has_timer) || !enqueue(self, &call->entry))
        return ERROR_JSON("RESOURCE_EXHAUSTED", "the plugin failed to start a thread: try again later");
    if (call->operation == NULL) self->live++;
    else if (needs_client) call->client->entry.references++;
    add_entry(self->calls, &call->entry);
    self->live++;
    if (call->deadline < self->next_deadline) pthread_cond_signal(&self->has_deadline);
    return NULL;
}

/* Starts a call of the plugin's function `function`; `open` if `operation` is NULL. */
static void start_call(void *plugin, uint64_t client_id, uint64_t id, const mlflow_deploy_request *request,
                       const char *operation, mdp_function function) {
    instance *self = plugin;
    const char *error = NULL;
    bool streams = operation != NULL && is_streaming(operation);
    if (has_forked(self))
        error = ERROR_JSON("INTERNAL_ERROR", "the process forked after the plugin was loaded: load it after the fork");
    else if (!is_readable(request->head) || !is_readable(request->body))
        error = ERROR_JSON("INVALID_PARAMETER_VALUE", "a slice has a length and a NULL pointer: expected bytes");
    else if (streams && self->host.chunk == NULL)
        error = ERROR_JSON("NOT_IMPLEMENTED", "the host accepts no chunks: use a newer host");
    if (error != NULL) {
        reply_with_constant(self, id, MLFLOW_DEPLOY_ERROR, error);
        return;
    }
    mdp_call *call = copy_request(self, id, request);
    client *opening = operation == NULL ? calloc(1, sizeof *opening) : NULL;
    if (call == NULL || (operation == NULL && opening == NULL)) {
        error = OUT_OF_MEMORY;
    } else {
        if (opening != NULL) opening->entry = (entry){.id = client_id, .references = 1, .is_client = true};
        call->operation = operation;
        call->function = function;
        call->client = opening;
        call->streams = streams;
        pthread_mutex_lock(&self->lock);
        error = admit(self, call, client_id);
        pthread_mutex_unlock(&self->lock);
    }
    if (error == NULL) return;
    reply_with_constant(self, id, MLFLOW_DEPLOY_ERROR, error);
    if (call != NULL) pthread_cond_destroy(&call->changed);
    free(opening);
    free(call);
}

/* ---- The functions of a call ----------------------------------------------------------------------------------- */

mdp_text mdp_body(const mdp_call *call) { return call->body; }

const char *mdp_content_type(const mdp_call *call) { return call->content_type; }

bool mdp_is_cancelled(mdp_call *call) {
    pthread_mutex_lock(&call->instance->lock);
    bool is_cancelled = call->stop != NULL;
    pthread_mutex_unlock(&call->instance->lock);
    return is_cancelled;
}

uint64_t mdp_remaining_ms(mdp_call *call) {
    uint64_t now = now_ms();
    if (call->deadline == UINT64_MAX) return UINT64_MAX;
    return call->deadline > now ? call->deadline - now : 0;
}

bool mdp_wait(mdp_call *call, uint64_t ms) {
    uint64_t end = later(ms);
    pthread_mutex_lock(&call->instance->lock);
    while (call->stop == NULL && now_ms() < end) wait_until(&call->changed, call->instance, end);
    bool has_waited = call->stop == NULL;
    pthread_mutex_unlock(&call->instance->lock);
    return has_waited;
}

bool mdp_send(mdp_call *call, const char *content_type, mdp_text chunk) {
    instance *self = call->instance;
    if (!call->streams) return false;
    mdp_buffer head = content_head(content_type);
    pthread_mutex_lock(&self->lock);
    while (call->credit == 0 && call->stop == NULL) pthread_cond_wait(&call->changed, &self->lock);
    bool may_send = call->stop == NULL;
    call->credit -= may_send;
    call->is_sending = may_send;
    pthread_mutex_unlock(&self->lock);
    if (may_send) {
        mlflow_deploy_slice body = {(const uint8_t *)chunk.ptr, chunk.len};
        self->host.chunk(self->host.ctx, call->entry.id, slice(head), body);
        pthread_mutex_lock(&self->lock);
        call->is_sending = false;
        may_send = call->stop == NULL;
        bool replies = !may_send && !call->has_ended;
        if (replies) call->has_ended = true;
        pthread_mutex_unlock(&self->lock);
        if (replies) send_reply(self, call->entry.id, stopped(call));
    }
    mdp_release(&head);
    return may_send;
}

static void send_event(mdp_call *call, uint32_t level, double progress, const char *format, va_list arguments) {
    const mlflow_deploy_host *host = &call->instance->host;
    mdp_buffer json = {0};
    if (host->event == NULL || mdp_is_cancelled(call)) return;
    mdp_begin(&json, NULL, '{');
    put_message(&json, format, arguments);
    if (progress >= 0) mdp_put_number(&json, "progress", progress);
    mdp_end(&json, '}');
    if (!json.has_failed) host->event(host->ctx, call->entry.id, level, slice(json));
    mdp_release(&json);
}

void mdp_event(mdp_call *call, uint32_t level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    send_event(call, level, -1, format, arguments);
    va_end(arguments);
}

void mdp_progress(mdp_call *call, double progress, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    send_event(call, MLFLOW_DEPLOY_LEVEL_INFO, progress, format, arguments);
    va_end(arguments);
}

/* ---- The table ------------------------------------------------------------------------------------------------- */

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static instance *instances;

static void *init(const void *host) {
    uint32_t size;
    if (host == NULL) return NULL;
    instance *self = calloc(1, sizeof *self);
    if (self == NULL) return NULL;
    memcpy(&size, host, sizeof size);
    memcpy(&self->host, host, size < sizeof self->host ? size : sizeof self->host);
    self->process = getpid();
    self->next_deadline = UINT64_MAX;
    if (self->host.reply == NULL || pthread_mutex_init(&self->lock, NULL) != 0 || !make_condition(&self->has_work) ||
        !make_condition(&self->has_deadline)) {
        free(self);
        return NULL;
    }
    pthread_mutex_lock(&shared_lock);
    self->next = instances;
    instances = self;
    pthread_mutex_unlock(&shared_lock);
    return self;
}

static entry *any_entry(entry **table) {
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        if (table[bucket] != NULL) return table[bucket];
    return NULL;
}

/* Returns a call that still runs and was not stopped, or NULL. */
static mdp_call *find_running(instance *self) {
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        for (entry *each = self->calls[bucket]; each != NULL; each = each->next_in_table) {
            mdp_call *call = (mdp_call *)each;
            if (call->stop == NULL && !call->has_ended) return call;
        }
    }
    return NULL;
}

static void shut_down(void *plugin, uint64_t id) {
    instance *self = plugin;
    mdp_call *running;
    entry *left;
    bool is_first = false;
    if (!has_forked(self)) {
        pthread_mutex_lock(&self->lock);
        is_first = !self->has_stopped;
        self->has_stopped = true;
        if (!is_first) pthread_mutex_unlock(&self->lock);
    }
    if (!is_first) {
        reply_with_constant(self, id, MLFLOW_DEPLOY_OK, "");
        return;
    }
    self->shutdown_call = id;
    self->live++;
    while ((running = find_running(self)) != NULL) stop_call(running, MLFLOW_DEPLOY_CODE_CANCELLED);
    while ((left = any_entry(self->clients)) != NULL) {
        remove_entry(self->clients, left);
        pthread_mutex_unlock(&self->lock);
        drop_client(self, (client *)left);
        pthread_mutex_lock(&self->lock);
    }
    pthread_cond_broadcast(&self->has_work);
    pthread_cond_broadcast(&self->has_deadline);
    end_live(self);
}

static void open_client(void *plugin, uint64_t client_id, uint64_t call, const mlflow_deploy_request *request) {
    start_call(plugin, client_id, call, request, NULL, NULL);
}

static void forget_client(void *plugin, uint64_t id) {
    instance *self = plugin;
    if (has_forked(self)) return;
    pthread_mutex_lock(&self->lock);
    entry *closed = find_entry(self->clients, id);
    if (closed != NULL) remove_entry(self->clients, closed);
    pthread_mutex_unlock(&self->lock);
    if (closed != NULL) drop_client(self, (client *)closed);
}

static void cancel_call(void *plugin, uint64_t id) {
    instance *self = plugin;
    if (has_forked(self)) return;
    pthread_mutex_lock(&self->lock);
    entry *found = find_entry(self->calls, id);
    if (found != NULL) {
        stop_call((mdp_call *)found, MLFLOW_DEPLOY_CODE_CANCELLED);
    } else {
        self->early[self->early_next] = id;
        self->early_next = (self->early_next + 1) % EARLY_CANCELS;
    }
    pthread_mutex_unlock(&self->lock);
}

static void grant_credit(void *plugin, uint64_t id, uint32_t chunks) {
    instance *self = plugin;
    if (has_forked(self)) return;
    pthread_mutex_lock(&self->lock);
    mdp_call *call = (mdp_call *)find_entry(self->calls, id);
    if (call != NULL) {
        call->credit += chunks;
        pthread_cond_broadcast(&call->changed);
    }
    pthread_mutex_unlock(&self->lock);
}

static void target_help(void *plugin, uint64_t call, const mlflow_deploy_request *request) {
    start_call(plugin, 0, call, request, "target_help", mdp_plugin.target_help);
}

static void run_local(void *plugin, uint64_t call, const mlflow_deploy_request *request) {
    start_call(plugin, 0, call, request, "run_local", mdp_plugin.run_local);
}

#define EACH_OPERATION(each)                                                                                          \
    each(create_deployment) each(update_deployment) each(delete_deployment) each(get_deployment)                      \
    each(list_deployments) each(create_endpoint) each(update_endpoint) each(delete_endpoint) each(get_endpoint)       \
    each(list_endpoints) each(predict) each(predict_stream) each(explain) each(invoke)

#define DEFINE_SLOT(name)                                                                                             \
    static void name(void *plugin, uint64_t client_id, uint64_t call, const mlflow_deploy_request *request) {          \
        start_call(plugin, client_id, call, request, #name, mdp_plugin.name);                                          \
    }
EACH_OPERATION(DEFINE_SLOT)

const mlflow_deploy_plugin *mlflow_deploy_plugin_v1(void) {
    static mlflow_deploy_plugin table;
    pthread_mutex_lock(&shared_lock);
    if (table.size == 0) {
        table = (mlflow_deploy_plugin){
            .abi = MLFLOW_DEPLOY_ABI, .init = init, .shutdown = shut_down, .open = open_client, .close = forget_client,
            .cancel = cancel_call, .credit = grant_credit,
        };
        if (mdp_plugin.target_help != NULL) table.target_help = target_help;
        if (mdp_plugin.run_local != NULL) table.run_local = run_local;
#define SET_SLOT(name) if (mdp_plugin.name != NULL) table.name = name;
        EACH_OPERATION(SET_SLOT)
        table.size = sizeof table;
    }
    pthread_mutex_unlock(&shared_lock);
    return &table;
}
