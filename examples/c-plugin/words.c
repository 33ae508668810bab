/*
 * A target in C on the kit: it counts and streams words. It has an option, a stream, and a wait that a cancel ends.
 */
#include <ctype.h>

#include "mlflow_deploy_kit.h"

MDP_MANIFEST("name": "words", "version": "1.0.0", "schemes": ["words"],
    "operations": ["list_endpoints", "get_endpoint", "predict", "predict_stream"],
    "accepts": ["text/plain", "application/json"], "description": "counts and streams words, in C",
    "options": {"type": "object", "properties": {"upper": {"type": "boolean", "description": "use upper case"}}},
    "config": {"predict": {"type": "object", "properties": {"delay_ms": {"type": "integer", "minimum": 0}}},
        "predict_stream": {"type": "object", "properties": {"delay_ms": {"type": "integer", "minimum": 0}}}});

typedef struct client { bool upper; } client;

static mdp_reply open_client(mdp_call *call, const mdp_json *arguments, void **made) {
    const mdp_json *options = mdp_get(arguments, "options"), *upper = mdp_get(options, "upper");
    mdp_text unknown = mdp_unknown_key(options, (const char *const[]){"upper", NULL});
    client *self;
    (void)call;
    if (unknown.ptr != NULL)
        return mdp_error(MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE, "unknown option `%s`: use `upper`", unknown.ptr);
    if (upper != NULL && mdp_type_of(upper) != MDP_BOOL)
        return mdp_error(MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE, "invalid option `upper`: expected true or false");
    if ((*made = self = malloc(sizeof *self)) == NULL)
        return mdp_error(MLFLOW_DEPLOY_CODE_RESOURCE_EXHAUSTED, "no memory is left for the client");
    self->upper = mdp_bool(upper, false);
    return mdp_ok();
}

/* Reads the next word at `*at`, in upper case if the client wants that. Returns false at the end of the inputs. */
static bool next_word(const client *self, mdp_text inputs, size_t *at, mdp_buffer *word) {
    mdp_release(word);
    while (*at < inputs.len && isspace((unsigned char)inputs.ptr[*at])) ++*at;
    size_t begin = *at;
    while (*at < inputs.len && !isspace((unsigned char)inputs.ptr[*at])) ++*at;
    mdp_append(word, (mdp_text){inputs.ptr + begin, *at - begin});
    for (size_t i = 0; self->upper && i < word->len; i++) word->ptr[i] = (char)toupper((unsigned char)word->ptr[i]);
    return word->len > 0;
}

static uint64_t delay(const mdp_json *arguments) {
    int64_t ms = mdp_integer(mdp_get(mdp_get(arguments, "config"), "delay_ms"), 0);
    return ms < 0 ? 0 : (uint64_t)ms;
}

static mdp_reply predict(mdp_call *call, const mdp_json *arguments, void *self) {
    mdp_buffer json = {0}, word = {0};
    size_t at = 0, words = 0;
    if (!mdp_wait(call, delay(arguments))) return mdp_ok(); /* the kit has replied that the call was stopped */
    while (next_word(self, mdp_body(call), &at, &word)) words++;
    mdp_event(call, MLFLOW_DEPLOY_LEVEL_DEBUG, "counted %zu words of %s", words, mdp_content_type(call));
    mdp_begin(&json, NULL, '{');
    mdp_put_integer(&json, "words", (int64_t)words);
    mdp_end(&json, '}');
    return mdp_release(&word), mdp_json_reply(json);
}

static mdp_reply predict_stream(mdp_call *call, const mdp_json *arguments, void *self) {
    mdp_buffer word = {0};
    for (size_t at = 0; next_word(self, mdp_body(call), &at, &word);)
        if (!mdp_wait(call, delay(arguments)) || !mdp_send(call, "text/plain", (mdp_text){word.ptr, word.len})) break;
    return mdp_release(&word), mdp_ok();
}

static mdp_reply get_endpoint(mdp_call *call, const mdp_json *arguments, void *self) {
    mdp_text name = mdp_string(mdp_get(arguments, "endpoint"));
    (void)call, (void)self;
    if (mdp_equals(name, "words")) return mdp_copy(NULL, mdp_of("{\"name\":\"words\"}"));
    return mdp_error(MLFLOW_DEPLOY_CODE_RESOURCE_DOES_NOT_EXIST, "unknown endpoint `%s`: expected `words`", name.ptr);
}

static mdp_reply list_endpoints(mdp_call *call, const mdp_json *arguments, void *self) {
    (void)call, (void)arguments, (void)self;
    return mdp_copy(NULL, mdp_of("[{\"name\":\"words\"}]"));
}

const mdp_functions mdp_plugin = {.open = open_client, .close = free, .predict = predict, .get_endpoint = get_endpoint,
    .predict_stream = predict_stream, .list_endpoints = list_endpoints};
