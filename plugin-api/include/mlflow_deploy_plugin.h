/*
 * mlflow_deploy_plugin.h: a deployment target for mlflow-deploy, written in C.
 *
 * A plugin is a shared library with
 *
 *   1. a manifest: JSON, at most 64 KiB, in the section ".mlflow_deploy" ("__DATA,__mlflow_deploy" on macOS). The host
 *      reads it from the file before it runs any code. See MLFLOW_DEPLOY_MANIFEST below.
 *   2. the function mlflow_deploy_plugin_v1, which returns the plugin's table. The table lives as long as the process.
 *
 * CONTRACT.md lists the duties of a plugin, clause by clause; mlflow-deploy-conformance checks them. The helper in
 * plugin-api/c does most of them: threads, ids, streams, cancels, deadlines, shutdown and JSON.
 *
 * Rules for every function, on both sides:
 *
 *   - It may be called from any thread, by several at the same time, even for one client. It returns within 50 ms, plus
 *     1 ms for each MiB of its arguments. It does not unwind or longjmp out. The caller holds no lock.
 *   - Slices are borrowed for the duration of the function. The receiver copies the bytes that it keeps. No memory
 *     changes its owner, so neither side frees the other's. {NULL, 0} is empty; {NULL, n} is an error.
 *   - The host chooses client and call ids. They are never zero and never reused. Ignore unknown ids in `close` and
 *     `credit`. `cancel` remembers them, see MLFLOW_DEPLOY_EARLY_CANCELS.
 *   - Every call gets exactly one reply, before or after its slot returns, even if it is cancelled. The plugin must
 *     reply once `timeout_ms` have passed, without waiting for a cancel.
 *   - A plugin starts its first thread at the first call, not when it is loaded.
 *   - A plugin installs no signal handlers, changes no process-wide state, and is never unloaded.
 *   - After fork(), calls fail at once.
 *   - A plugin runs in the host's process, or in a separate process that a host starts for it. In a separate process
 *     its stdin is empty, its stdout and stderr are a log, and its environment holds only the variables that the
 *     manifest declares and a few common ones such as PATH. A manifest with "isolation":"required" or "panic":"abort"
 *     requires the separate process.
 *
 * Both tables grow only at their ends. Set `size` to the sizeof that you were compiled with. Do not read the other
 * side's table beyond its `size`.
 */
/*
 * The arguments in the head of a request. An absent argument is missing or null.
 *
 *   argument         type    meaning
 *   target_uri       string  the URI of the target, such as "openai://host/v1". Required by open; hosts also send it to
 *                            run_local
 *   options          object  the options of the client, as in the manifest's "options"; a writeOnly one is a secret
 *   name             string  the name of a deployment or, for create_endpoint, of the endpoint. Required by
 *                            create_deployment, update_deployment, delete_deployment, get_deployment and run_local.
 *                            create_endpoint: empty if the config has the name in its key "name"
 *   endpoint         string  the name of an endpoint. Required by update_endpoint, delete_endpoint and get_endpoint
 *   deployment_name  string  the name of the deployment that receives the inputs
 *   model_uri        string  the URI of a model, such as "runs:/<run id>/model" or a path. Required by create_deployment
 *                            and run_local
 *   flavor           string  the flavor of the model
 *   config           object  the settings of the operation, as in the manifest's "config"
 *   operation        string  the name of a custom operation; required by invoke
 *   content_type     string  the media type of the body, such as "text/csv"; "application/json" if absent
 *
 * A plugin answers a missing required argument, or an argument of another type, with INVALID_PARAMETER_VALUE.
 */
#ifndef MLFLOW_DEPLOY_PLUGIN_H
#define MLFLOW_DEPLOY_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MLFLOW_DEPLOY_ABI 1u

/* The status of a reply. */
#define MLFLOW_DEPLOY_OK 0u
#define MLFLOW_DEPLOY_ERROR 1u

/* The level of an event. */
#define MLFLOW_DEPLOY_LEVEL_ERROR 1u
#define MLFLOW_DEPLOY_LEVEL_WARN 2u
#define MLFLOW_DEPLOY_LEVEL_INFO 3u
#define MLFLOW_DEPLOY_LEVEL_DEBUG 4u

/* Puts a manifest into its section: `MLFLOW_DEPLOY_MANIFEST static const char manifest[] = "{\"manifest\":1,…}";`
 * The NUL at the end of the C string is ignored. */
#ifdef __APPLE__
#define MLFLOW_DEPLOY_MANIFEST __attribute__((used, section("__DATA,__mlflow_deploy")))
#else
#define MLFLOW_DEPLOY_MANIFEST __attribute__((used, section(".mlflow_deploy")))
#endif

/* The number of cancels for unknown ids that a plugin must remember. It may forget the oldest of more. */
#define MLFLOW_DEPLOY_EARLY_CANCELS 1024

/* The codes of errors: MLflow's, and those of a call that was stopped. A code of a server is passed on unchanged. A code
 * consists of A-Z, 0-9 and _. The host alone uses PLUGIN_CRASHED, PLUGIN_LOAD_FAILED, PLUGIN_NOT_FOUND and
 * PLUGIN_PROTOCOL_VIOLATION. */
#define MLFLOW_DEPLOY_CODE_BAD_REQUEST "BAD_REQUEST" /* the server rejects the request (HTTP 400) */
#define MLFLOW_DEPLOY_CODE_CANCELLED "CANCELLED" /* the host cancelled the call */
#define MLFLOW_DEPLOY_CODE_DEADLINE_EXCEEDED "DEADLINE_EXCEEDED" /* timeout_ms have passed */
#define MLFLOW_DEPLOY_CODE_INTERNAL_ERROR "INTERNAL_ERROR" /* a fault that no other code describes */
#define MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE "INVALID_PARAMETER_VALUE" /* an argument or an option is invalid */
#define MLFLOW_DEPLOY_CODE_NOT_IMPLEMENTED "NOT_IMPLEMENTED" /* the target does not support the operation */
#define MLFLOW_DEPLOY_CODE_PERMISSION_DENIED "PERMISSION_DENIED" /* the credentials do not suffice (HTTP 403) */
#define MLFLOW_DEPLOY_CODE_PLUGIN_PANICKED "PLUGIN_PANICKED" /* the client is unusable after a panic */
#define MLFLOW_DEPLOY_CODE_RESOURCE_ALREADY_EXISTS "RESOURCE_ALREADY_EXISTS" /* the name is taken (HTTP 409) */
#define MLFLOW_DEPLOY_CODE_RESOURCE_DOES_NOT_EXIST "RESOURCE_DOES_NOT_EXIST" /* the named resource is missing (404) */
#define MLFLOW_DEPLOY_CODE_RESOURCE_EXHAUSTED "RESOURCE_EXHAUSTED" /* a quota or memory is used up (HTTP 429) */
#define MLFLOW_DEPLOY_CODE_TEMPORARILY_UNAVAILABLE "TEMPORARILY_UNAVAILABLE" /* the server is unreachable (502, 503) */
#define MLFLOW_DEPLOY_CODE_UNAUTHENTICATED "UNAUTHENTICATED" /* credentials are missing or wrong (HTTP 401) */

typedef struct mlflow_deploy_slice {
    const uint8_t *ptr;
    size_t len;
} mlflow_deploy_slice;

/* The arguments of one call, borrowed until the slot returns. */
typedef struct mlflow_deploy_request {
    uint32_t size;
    uint32_t credit;          /* chunks that may be sent before `credit` allows more; 0 without a stream */
    uint64_t timeout_ms;      /* time left until the deadline, when the plugin must have replied; 0 without a deadline */
    mlflow_deploy_slice head; /* the arguments: a JSON object; ignore unknown keys */
    mlflow_deploy_slice body; /* the inputs, in the format named by the head's "content_type" */
} mlflow_deploy_request;

/* The host's callbacks. Copy the table in `init`. Each function stores the message and returns
 * without blocking. A host may call `close` and `cancel` inside `reply`, so hold no lock. */
typedef struct mlflow_deploy_host {
    uint32_t size;
    uint32_t abi;
    void *ctx; /* pass it back with every call */

    /* Ends a call. On MLFLOW_DEPLOY_OK the body is the result, and the head is empty or {"content_type":…}.
     * On MLFLOW_DEPLOY_ERROR the body is {"code":…,"message":…,"retryable":false,…}. A slice may have 512 MiB; a larger
     * one is rejected, and the caller gets an error. */
    void (*reply)(void *ctx, uint64_t call, uint32_t status, mlflow_deploy_slice head, mlflow_deploy_slice body);

    /* Sends one chunk of a stream and uses one unit of credit. A chunk without credit ends the call with an error.
     * The chunks and the reply of one call must not overlap. */
    void (*chunk)(void *ctx, uint64_t call, mlflow_deploy_slice head, mlflow_deploy_slice body);

    /* {"message":…} or {"message":…,"progress":0.5}; `call` is 0 for an event that belongs to no call. May be NULL. */
    void (*event)(void *ctx, uint64_t call, uint32_t level, mlflow_deploy_slice json);

    /* Returns an instance of the plugin's own library in another process, or NULL. May be NULL, and older hosts do not have it.
     * `host` is the mlflow_deploy_host that receives the instance's replies; it lives as long as the process. `table` is a
     * mlflow_deploy_plugin whose `size` is set; the host fills it up to that size. Pass the returned pointer to
     * these functions; `init` is NULL. The first call starts the process. If the process ends during
     * a call, the call fails with PLUGIN_CRASHED, and the next call restarts the process. `shutdown` ends the process; do
     * not use the pointer afterwards. */
    void *(*isolate)(void *ctx, const void *host, void *table);
} mlflow_deploy_host;

/* A slot for an operation of a client. The result is sent through `reply`. */
typedef void (*mlflow_deploy_slot)(void *plugin, uint64_t client, uint64_t call, const mlflow_deploy_request *request);

/* The plugin's functions. init, open, close and cancel are required, and credit if an operation streams.
 * The slot of an unsupported operation is NULL. */
typedef struct mlflow_deploy_plugin {
    uint32_t size;
    uint32_t abi;

    /* Makes a new instance on every call. Returns NULL on failure, and if `host` is NULL. `host` is a
     * mlflow_deploy_host. A host sets a deadline for loading and `init`, such as 10 s. */
    void *(*init)(const void *host);
    /* Ends an instance. The plugin cancels its pending calls and closes its open clients itself. It replies once all
     * calls have their replies and all clients are closed. Its threads then end. The instance is never freed: later
     * functions with it do nothing, and later calls get an error. */
    void (*shutdown)(void *plugin, uint64_t call);

    /* Makes a client. The head is {"target_uri":…,"options":{…}}. A failed or cancelled open leaves nothing to close. */
    void (*open)(void *plugin, uint64_t client, uint64_t call, const mlflow_deploy_request *request);
    /* Ends a client. The host cancels its pending calls first, and calls no function with its id afterwards. */
    void (*close)(void *plugin, uint64_t client);
    /* Cancels a call; its reply is still required, as an error with the code CANCELLED or as a result. Does nothing if
     * the call was already answered. Remembers an unknown id, because its call may arrive a moment later. */
    void (*cancel)(void *plugin, uint64_t call);
    /* Allows a stream to send `chunks` more chunks. */
    void (*credit)(void *plugin, uint64_t call, uint32_t chunks);

    /* Replies with help text, such as Markdown with the head {"content_type":"text/markdown"}. */
    void (*target_help)(void *plugin, uint64_t call, const mlflow_deploy_request *request);
    /* Serves a model on this machine until cancelled. Sends a chunk {"event":"ready","url":…} when the model is ready,
       optionally with a command line that queries it in "example". */
    void (*run_local)(void *plugin, uint64_t call, const mlflow_deploy_request *request);

    mlflow_deploy_slot create_deployment; /* name, model_uri, flavor, config, endpoint */
    mlflow_deploy_slot update_deployment; /* name, model_uri, flavor, config, endpoint */
    mlflow_deploy_slot delete_deployment; /* name, config, endpoint */
    mlflow_deploy_slot get_deployment;    /* name, endpoint */
    mlflow_deploy_slot list_deployments;  /* endpoint */
    mlflow_deploy_slot create_endpoint;   /* name, config */
    mlflow_deploy_slot update_endpoint;   /* endpoint, config */
    mlflow_deploy_slot delete_endpoint;   /* endpoint */
    mlflow_deploy_slot get_endpoint;      /* endpoint */
    mlflow_deploy_slot list_endpoints;    /* nothing */
    mlflow_deploy_slot predict;           /* deployment_name, endpoint, config, content_type; the body is the inputs */
    mlflow_deploy_slot predict_stream;    /* as predict; sends chunks, then replies */
    mlflow_deploy_slot explain;           /* as predict */
    mlflow_deploy_slot invoke;            /* operation, name, endpoint, config, content_type; the body is the inputs */
} mlflow_deploy_plugin;

/* The only function that a plugin exports. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const mlflow_deploy_plugin *mlflow_deploy_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif /* MLFLOW_DEPLOY_PLUGIN_H */
