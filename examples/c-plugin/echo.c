/*
 * A target in C that returns its inputs. Every call gets its reply before its slot returns, so the plugin keeps no calls
 * and cancels nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "mlflow_deploy_plugin.h"

#ifndef TARGET
#error "set the target triple: -DTARGET='\"x86_64-unknown-linux-gnu\"'"
#endif

#define MANIFEST                                                                                     \
    "{\"manifest\":1,\"abi\":1,\"name\":\"c-echo\",\"version\":\"1.0.0\",\"target\":\"" TARGET "\"," \
    "\"schemes\":[\"c-echo\"],\"operations\":[\"list_endpoints\",\"predict\"],\"panic\":\"none\","   \
    "\"accepts\":[\"application/json\",\"text/csv\",\"text/plain\"],"                                \
    "\"description\":\"returns its inputs, in C\"}"

/* Without the NUL at the end, which the host would ignore. */
MLFLOW_DEPLOY_MANIFEST static const char manifest[sizeof MANIFEST - 1] = MANIFEST;

static mlflow_deploy_slice text(const char *text) {
    return (mlflow_deploy_slice){(const uint8_t *)text, strlen(text)};
}

/* Returns a copy of the host's table as the instance. Members that the host does not have are NULL. */
static void *init(const void *host) {
    uint32_t size;
    mlflow_deploy_host *instance = calloc(1, sizeof *instance);
    if (instance == NULL || host == NULL) {
        free(instance);
        return NULL;
    }
    memcpy(&size, host, sizeof size);
    memcpy(instance, host, size < sizeof *instance ? size : sizeof *instance);
    return instance;
}

static void reply(void *plugin, uint64_t call, mlflow_deploy_slice head, mlflow_deploy_slice body) {
    const mlflow_deploy_host *host = plugin;
    host->reply(host->ctx, call, MLFLOW_DEPLOY_OK, head, body);
}

/* Returns true if the slices are valid and the head is empty or a JSON object. Replies with an error otherwise. */
static bool is_readable(void *plugin, uint64_t call, const mlflow_deploy_request *request) {
    const mlflow_deploy_host *host = plugin;
    mlflow_deploy_slice head = request->head, body = request->body;
    bool is_there = (head.ptr != NULL || head.len == 0) && (body.ptr != NULL || body.len == 0);
    if (is_there && (head.len == 0 || json_is_object(head.ptr, head.len))) return true;
    host->reply(host->ctx, call, MLFLOW_DEPLOY_ERROR, text(""),
                text("{\"code\":\"INVALID_PARAMETER_VALUE\",\"message\":\"failed to read the arguments: expected a JSON"
                     " object\"}"));
    return false;
}

/* Keeps the instance, because the host may still call the plugin. */
static void stop(void *plugin, uint64_t call) { reply(plugin, call, text(""), text("")); }

/* Keeps no client: all clients are the same. */
static void open_client(void *plugin, uint64_t client, uint64_t call, const mlflow_deploy_request *request) {
    (void)client;
    if (is_readable(plugin, call, request)) reply(plugin, call, text(""), text(""));
}

static void close_client(void *plugin, uint64_t client) { (void)plugin, (void)client; }

static void cancel(void *plugin, uint64_t call) { (void)plugin, (void)call; }

static void list_endpoints(void *plugin, uint64_t client, uint64_t call, const mlflow_deploy_request *request) {
    (void)client;
    if (is_readable(plugin, call, request)) reply(plugin, call, text(""), text("[{\"name\":\"echo\"}]"));
}

/* The head of a request and of a reply has the media type of the body in "content_type". */
static void predict(void *plugin, uint64_t client, uint64_t call, const mlflow_deploy_request *request) {
    (void)client;
    if (is_readable(plugin, call, request)) reply(plugin, call, request->head, request->body);
}

static const mlflow_deploy_plugin plugin = {
    .size = sizeof plugin,
    .abi = MLFLOW_DEPLOY_ABI,
    .init = init,
    .shutdown = stop,
    .open = open_client,
    .close = close_client,
    .cancel = cancel,
    .list_endpoints = list_endpoints,
    .predict = predict,
};

const mlflow_deploy_plugin *mlflow_deploy_plugin_v1(void) { return &plugin; }
