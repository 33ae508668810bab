/*
 * mlflow_deploy_plugin.h: a deployment target for mlflow-deploy, written in C.
 *
 * A plugin is a shared library with
 *
 *   1. a manifest: JSON, at most 64 KiB, in the section ".mlflow_deploy" ("__DATA,__mlflow_deploy" on macOS). The host
 *      reads it from the file and runs nothing. See MLFLOW_DEPLOY_MANIFEST below.
 *   2. the function mlflow_deploy_plugin_v1, which returns the plugin's table. The table lives as long as the process.
 *
 * CONTRACT.md states what a plugin promises, clause by clause; mlflow-deploy-conformance checks it.
 *
 * Rules that hold for every function, on both sides:
 *
 *   - It may be called from any thread, it does not block (50 ms, and 1 ms more for each MiB, at most), and it does not
 *     unwind or longjmp out. No lock is held across it.
 *   - Slices are lent for the duration of the function. Whoever receives one copies what it keeps. No memory changes
 *     its owner, so there is nothing to free on the other side. {NULL, 0} is empty; {NULL, n} is a fault.
 *   - Client and call ids are the host's: never zero, never used twice. Look them up; ignore what you do not know.
 *   - Every call gets exactly one reply, before or after its slot returns, and also after it was cancelled.
 *   - A plugin installs no signal handlers, changes no process-wide state, and is never unloaded.
 *   - After fork() calls fail at once.
 *   - The process may be the host's, or one that a host has started for this plugin alone: there its stdin is empty, its
 *     stdout and stderr are a log, and of the environment it sees what the manifest declares and what every program
 *     needs. A manifest that says "isolation":"required" or "panic":"abort" is only ever loaded so.
 *
 * Both tables grow at their ends only. Set `size` to the sizeof that you were compiled with, and read of the other
 * side's table no more than its `size` says.
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

/* Places a manifest: `MLFLOW_DEPLOY_MANIFEST static const char manifest[] = "{\"manifest\":1,…}";`
 * The NUL that ends a C string is left out of account. */
#ifdef __APPLE__
#define MLFLOW_DEPLOY_MANIFEST __attribute__((used, section("__DATA,__mlflow_deploy")))
#else
#define MLFLOW_DEPLOY_MANIFEST __attribute__((used, section(".mlflow_deploy")))
#endif

typedef struct mlflow_deploy_slice {
    const uint8_t *ptr;
    size_t len;
} mlflow_deploy_slice;

/* The arguments of one call, lent for the duration of the slot. */
typedef struct mlflow_deploy_request {
    uint32_t size;
    uint32_t credit;          /* chunks that may be sent before `credit` allows more; 0 for a plain call */
    uint64_t timeout_ms;      /* what is left of the caller's deadline; 0 for none */
    mlflow_deploy_slice head; /* the arguments: a JSON object; unknown keys are to be ignored */
    mlflow_deploy_slice body; /* the inputs, in the format that the head's "content_type" names */
} mlflow_deploy_request;

/* What the host gives a plugin. Copy it in `init`. Every function only enqueues and wakes,
 * but for this: within `reply`, a host may call `close` and `cancel`. Hold no lock. */
typedef struct mlflow_deploy_host {
    uint32_t size;
    uint32_t abi;
    void *ctx; /* to be passed back with every call */

    /* Ends a call. On MLFLOW_DEPLOY_OK the body is the result, and the head is empty or {"content_type":…}.
     * On MLFLOW_DEPLOY_ERROR the body is {"code":…,"message":…,"retryable":false,…}. A slice may have 512 MiB; a larger
     * one is not taken, and the caller is told so. */
    void (*reply)(void *ctx, uint64_t call, uint32_t status, mlflow_deploy_slice head, mlflow_deploy_slice body);

    /* One chunk of a stream, against one unit of credit; a chunk without credit ends the call with an error.
     * Chunks and the reply of one call must not overlap. */
    void (*chunk)(void *ctx, uint64_t call, mlflow_deploy_slice head, mlflow_deploy_slice body);

    /* {"message":…} or {"message":…,"progress":0.5}; `call` is 0 where no call is concerned. May be NULL. */
    void (*event)(void *ctx, uint64_t call, uint32_t level, mlflow_deploy_slice json);

    /* An instance of the plugin's own library in another process; NULL where the host has no way to. May be NULL,
     * and older hosts do not have it.
     * `host` is a mlflow_deploy_host that the instance answers to; it lives as long as the process. `table` is a
     * mlflow_deploy_plugin whose `size` is set: the host fills it, up to that size. Its functions take what is returned
     * as `plugin`; its `init` is NULL. The first call starts the process. A call whose process ends is replied to with
     * PLUGIN_CRASHED, and the next call starts the process anew. `shutdown` ends it: call nothing of it afterwards. */
    void *(*isolate)(void *ctx, const void *host, void *table);
} mlflow_deploy_host;

/* A slot that answers an operation of a client through `reply`. */
typedef void (*mlflow_deploy_slot)(void *plugin, uint64_t client, uint64_t call, const mlflow_deploy_request *request);

/* What a plugin gives the host. init, open, close and cancel are required, and credit where something streams.
 * The slot of an operation that is not supported is NULL. */
typedef struct mlflow_deploy_plugin {
    uint32_t size;
    uint32_t abi;

    /* Makes an instance, a fresh one per call; NULL where that failed. `host` is a mlflow_deploy_host. A host gives
     * loading and `init` a deadline, such as 10 s. */
    void *(*init)(const void *host);
    /* Ends an instance: replies when its calls are answered and its clients closed. */
    void (*shutdown)(void *plugin, uint64_t call);

    /* Makes a client. The head is {"target_uri":…,"options":{…}}. A failed or cancelled open leaves nothing to close. */
    void (*open)(void *plugin, uint64_t client, uint64_t call, const mlflow_deploy_request *request);
    /* Ends a client. What was pending is cancelled, and no slot of the client is entered afterwards. */
    void (*close)(void *plugin, uint64_t client);
    /* Gives a call up; its reply still comes. Does nothing for one that is answered. Remember one that is unknown:
     * it may arrive a moment later. */
    void (*cancel)(void *plugin, uint64_t call);
    /* Allows a stream this many more chunks. */
    void (*credit)(void *plugin, uint64_t call, uint32_t chunks);

    /* Replies with a text for a user, such as Markdown with the head {"content_type":"text/markdown"}. */
    void (*target_help)(void *plugin, uint64_t call, const mlflow_deploy_request *request);
    /* Serves a model on this machine until cancelled. Sends a chunk {"event":"ready","url":…} when it answers, with a
       command line that asks the model in "example" where there is one. */
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
    mlflow_deploy_slot predict_stream;    /* as predict; answers in chunks, then replies */
    mlflow_deploy_slot explain;           /* as predict */
    mlflow_deploy_slot invoke;            /* operation, name, endpoint, config, content_type; the body is the inputs */
} mlflow_deploy_plugin;

/* The one function that a plugin exports. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const mlflow_deploy_plugin *mlflow_deploy_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif /* MLFLOW_DEPLOY_PLUGIN_H */
