/*
 * mlflow_deploy_kit.h: writes a deployment target for mlflow-deploy in C11 without threads, ids or replies of its own.
 *
 * Compile mlflow_deploy_kit.c into the plugin. The kit defines `mlflow_deploy_plugin_v1`. The plugin defines a manifest
 * (MDP_MANIFEST) and its functions (mdp_plugin):
 *
 *     MDP_MANIFEST("name": "hello", "version": "1.0.0", "schemes": ["hello"], "operations": ["predict"],
 *                  "accepts": ["text/plain"]);
 *
 *     static mdp_reply predict(mdp_call *call, const mdp_json *arguments, void *client) {
 *         (void)arguments, (void)client;
 *         return mdp_copy("text/plain", mdp_body(call));
 *     }
 *
 *     const mdp_functions mdp_plugin = {.predict = predict};
 *
 * The kit does the rest of CONTRACT.md. It copies each request, and calls the plugin's function on a thread of a pool,
 * so a function may block and compute. The first call starts the first thread. A cancelled call gets its reply at once,
 * and so does a call at its deadline, while the function still runs; the function's own result is then dropped. A client
 * is closed once its last function has returned. `shutdown` cancels all calls, closes all clients and ends the threads.
 *
 * A function:
 *
 *   - may run on many threads at the same time, for one client too. The plugin locks what its functions share.
 *   - returns soon after `mdp_is_cancelled` is true, because it keeps its thread, its client and `shutdown` waiting.
 *   - uses `call`, `arguments` and the inputs only until it returns. Only one thread calls `mdp_send` for one call.
 *   - prints nothing, and does not call exit().
 *
 * The kit checks the arguments before it calls a function: `arguments` is an object, names, URIs and media types in it
 * are strings, `config` and `options` are objects, and what the operation requires is there. A plugin checks the rest.
 */
#ifndef MLFLOW_DEPLOY_KIT_H
#define MLFLOW_DEPLOY_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mlflow_deploy_plugin.h"

/* The maximum number of threads of an instance. Further calls wait until a function returns. */
#ifndef MDP_MAX_THREADS
#define MDP_MAX_THREADS 256
#endif

/* Rust's target triple of the machine that the plugin is compiled for. */
#ifndef MDP_TARGET
#if defined(__APPLE__) && defined(__aarch64__)
#define MDP_TARGET "aarch64-apple-darwin"
#elif defined(__APPLE__) && defined(__x86_64__)
#define MDP_TARGET "x86_64-apple-darwin"
#elif defined(__linux__) && defined(__GLIBC__) && defined(__LP64__) && defined(__aarch64__)
#define MDP_TARGET "aarch64-unknown-linux-gnu"
#elif defined(__linux__) && defined(__GLIBC__) && defined(__LP64__) && defined(__x86_64__)
#define MDP_TARGET "x86_64-unknown-linux-gnu"
#else
#error "set the target triple, which `rustc --print host-tuple` prints: -DMDP_TARGET='\"x86_64-unknown-linux-musl\"'"
#endif
#endif

/* Puts the manifest into its section. The arguments are the members of a JSON object, without quoting. The macro adds
 * "manifest", "abi", "target" and "panic". */
#define MDP_MANIFEST(...)                                \
    MLFLOW_DEPLOY_MANIFEST static const char mdp_manifest[] = \
        "{\"manifest\":1,\"abi\":1,\"target\":\"" MDP_TARGET "\",\"panic\":\"none\"," #__VA_ARGS__ "}"

#if defined(__GNUC__)
#define MDP_PRINTF(text, first) __attribute__((format(printf, text, first)))
#pragma GCC visibility push(hidden)
#else
#define MDP_PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes. Those of a string in JSON are followed by a NUL, which `len` does not count. */
typedef struct mdp_text {
    const char *ptr;
    size_t len;
} mdp_text;

/* Returns the bytes of a C string; empty for NULL. */
mdp_text mdp_of(const char *string);
/* Returns true if the bytes equal the C string. */
bool mdp_equals(mdp_text text, const char *string);

/* ---- Reading JSON ---------------------------------------------------------------------------------------------- */

/* A value of a JSON document. Functions that take one accept NULL as a value that is absent. */
typedef struct mdp_json mdp_json;

typedef enum mdp_type { MDP_NULL, MDP_BOOL, MDP_NUMBER, MDP_STRING, MDP_LIST, MDP_OBJECT } mdp_type;

/* Reads a document of at most 128 levels. The value refers to `text`, which has to live as long. Returns NULL, and sets
 * `position` to the byte at which reading failed, if `text` is not JSON in UTF-8. `position` may be NULL. */
mdp_json *mdp_parse(mdp_text text, size_t *position);
/* Frees a document, which is a value that `mdp_parse` returned. */
void mdp_free(mdp_json *document);

mdp_type mdp_type_of(const mdp_json *value); /* MDP_NULL if absent */
/* Returns the member of an object, the last one if there are several. Returns NULL if it is absent or null, and if the
 * value is not an object. */
const mdp_json *mdp_get(const mdp_json *object, const char *key);
/* Returns the number of elements of a list or members of an object; 0 for other values. */
size_t mdp_count(const mdp_json *value);
/* Iterates over elements or members: `for (v = mdp_first(list); v != NULL; v = mdp_next(list, v))`. */
const mdp_json *mdp_first(const mdp_json *parent);
const mdp_json *mdp_next(const mdp_json *parent, const mdp_json *child);
mdp_text mdp_key(const mdp_json *member); /* empty if the value is not a member of an object */
mdp_text mdp_raw(const mdp_json *value);  /* the value as in the document */
/* Returns the text of a string. {NULL, 0} if the value is not a string. */
mdp_text mdp_string(const mdp_json *value);
/* Return `otherwise` if the value is not a boolean, or not a number that the type can hold. */
bool mdp_bool(const mdp_json *value, bool otherwise);
int64_t mdp_integer(const mdp_json *value, int64_t otherwise);
double mdp_number(const mdp_json *value, double otherwise);
/* Returns the first key that is not in the list `known`, which ends with NULL. {NULL, 0} if there is none. */
mdp_text mdp_unknown_key(const mdp_json *object, const char *const *known);

/* ---- Writing JSON and other bytes ------------------------------------------------------------------------------ */

/* Bytes that grow. Starts as {0}. If memory runs out, later writes do nothing, and a reply with it is an error. */
typedef struct mdp_buffer {
    char *ptr;
    size_t len, capacity;
    bool has_failed;
} mdp_buffer;

void mdp_append(mdp_buffer *buffer, mdp_text bytes);
void mdp_release(mdp_buffer *buffer); /* frees the bytes; needless for a buffer that became a reply */

/* Write a value with the comma that it needs. `key` is NULL in a list and for the document itself. */
void mdp_begin(mdp_buffer *json, const char *key, char bracket); /* '{' or '[' */
void mdp_end(mdp_buffer *json, char bracket);                    /* '}' or ']' */
void mdp_put_string(mdp_buffer *json, const char *key, mdp_text text); /* invalid UTF-8 becomes U+FFFD */
void mdp_put_bool(mdp_buffer *json, const char *key, bool value);
void mdp_put_integer(mdp_buffer *json, const char *key, int64_t value);
void mdp_put_number(mdp_buffer *json, const char *key, double value); /* null if it is not finite */
void mdp_put_raw(mdp_buffer *json, const char *key, mdp_text value);  /* a value that is JSON already */

/* ---- Replies --------------------------------------------------------------------------------------------------- */

/* The result or the error of a function. It owns its bytes. */
typedef struct mdp_reply {
    uint32_t status; /* MLFLOW_DEPLOY_OK or MLFLOW_DEPLOY_ERROR */
    mdp_buffer head, body;
} mdp_reply;

mdp_reply mdp_ok(void);                                                /* an empty result */
mdp_reply mdp_json_reply(mdp_buffer json);                             /* takes the bytes */
mdp_reply mdp_bytes_reply(const char *content_type, mdp_buffer bytes); /* takes the bytes */
mdp_reply mdp_copy(const char *content_type, mdp_text bytes);
/* `code` is one of the MLFLOW_DEPLOY_CODE constants or the server's own. The message says what failed, what was
 * expected and what to do next. */
mdp_reply mdp_error(const char *code, const char *format, ...) MDP_PRINTF(2, 3);
mdp_reply mdp_retryable(mdp_reply error); /* adds that the same call may succeed later */
void mdp_discard(mdp_reply reply);        /* frees a reply that is not returned */

/* ---- Calls ----------------------------------------------------------------------------------------------------- */

typedef struct mdp_call mdp_call;

mdp_text mdp_body(const mdp_call *call);            /* the inputs */
const char *mdp_content_type(const mdp_call *call); /* of the inputs; "application/json" if the caller names none */
/* Returns true if the caller cancelled the call, its deadline has passed, or the plugin is shut down. */
bool mdp_is_cancelled(mdp_call *call);
/* Returns the milliseconds until the deadline. UINT64_MAX without a deadline. */
uint64_t mdp_remaining_ms(mdp_call *call);
/* Waits for `ms` milliseconds. Returns false at once if the call is cancelled or its deadline passes. */
bool mdp_wait(mdp_call *call, uint64_t ms);
/* Sends a chunk of predict_stream or run_local, once the caller has granted credit for it. Returns false if the call is
 * cancelled or does not stream. Then return any reply: the kit drops it. A NULL `content_type` means JSON. */
bool mdp_send(mdp_call *call, const char *content_type, mdp_text chunk);
/* Logs a message to the caller. `level` is one of the MLFLOW_DEPLOY_LEVEL constants. */
void mdp_event(mdp_call *call, uint32_t level, const char *format, ...) MDP_PRINTF(3, 4);
/* Reports progress from 0 to 1. */
void mdp_progress(mdp_call *call, double progress, const char *format, ...) MDP_PRINTF(3, 4);

/* ---- The plugin ------------------------------------------------------------------------------------------------ */

typedef mdp_reply (*mdp_function)(mdp_call *call, const mdp_json *arguments, void *client);

/* The functions of a plugin. NULL for an operation that it does not have. mlflow_deploy_plugin.h lists the arguments of each. */
typedef struct mdp_functions {
    /* Makes a client from "target_uri" and "options". Sets `client`, which the other functions get. NULL if there is
     * nothing to make. */
    mdp_reply (*open)(mdp_call *call, const mdp_json *arguments, void **client);
    /* Frees a client. No function of the client runs any more. May be NULL. */
    void (*close)(void *client);

    mdp_function target_help, run_local; /* `client` is NULL */
    mdp_function create_deployment, update_deployment, delete_deployment, get_deployment, list_deployments;
    mdp_function create_endpoint, update_endpoint, delete_endpoint, get_endpoint, list_endpoints;
    mdp_function predict, predict_stream, explain, invoke;
} mdp_functions;

/* The plugin defines this. */
extern const mdp_functions mdp_plugin;

#ifdef __cplusplus
}
#endif

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif /* MLFLOW_DEPLOY_KIT_H */
