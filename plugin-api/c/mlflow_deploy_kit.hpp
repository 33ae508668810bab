/*
 * mlflow_deploy_kit.hpp: writes a deployment target for mlflow-deploy in C++17, on mlflow_deploy_kit.h.
 *
 * A target is a class. Its constructor makes a client, its destructor closes it, and its methods are the operations, by
 * their names in mdp_functions:
 *
 *     MDP_MANIFEST("name": "hello", "version": "1.0.0", "schemes": ["hello"], "operations": ["predict"],
 *                  "accepts": ["text/plain"]);
 *
 *     struct Hello {
 *         Hello(mlflow_deploy::Call &, mlflow_deploy::Json) {}
 *         mlflow_deploy::Reply predict(mlflow_deploy::Call &call, mlflow_deploy::Json) {
 *             return {"text/plain", call.body()};
 *         }
 *     };
 *
 *     MLFLOW_DEPLOY_TARGET(Hello);
 *
 * `target_help` and `run_local` have no client, so they are static. Methods run on many threads at the same time, as the
 * functions of the C header do. An exception becomes the error of its call: an `Error` with its code, std::bad_alloc as
 * RESOURCE_EXHAUSTED, and any other as INTERNAL_ERROR with what().
 *
 * Compile mlflow_deploy_kit.c with a C compiler, and the plugin with -fvisibility=hidden. A plugin has no global object
 * with a destructor, because threads may use it while the process exits.
 */
#ifndef MLFLOW_DEPLOY_KIT_HPP
#define MLFLOW_DEPLOY_KIT_HPP

#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "mlflow_deploy_kit.h"

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

namespace mlflow_deploy {

inline mdp_text to_text(std::string_view view) { return {view.data(), view.size()}; }
inline std::string_view to_view(mdp_text text) { return {text.ptr == nullptr ? "" : text.ptr, text.len}; }

/* The error of a call. The message says what failed, what was expected and what to do next. */
class Error : public std::runtime_error {
  public:
    Error(std::string code, const std::string &message, bool is_retryable = false)
        : std::runtime_error(message), code_(std::move(code)), is_retryable_(is_retryable) {}

    const std::string &code() const noexcept { return code_; }
    bool is_retryable() const noexcept { return is_retryable_; }

  private:
    std::string code_;
    bool is_retryable_;
};

/* A value of a JSON document, which has to outlive it. A value that is absent or null is false, and has no members. */
class Json {
  public:
    explicit Json(const mdp_json *value) noexcept : value_(value) {}

    explicit operator bool() const noexcept { return mdp_type_of(value_) != MDP_NULL; }
    mdp_type type() const noexcept { return mdp_type_of(value_); }
    Json operator[](const char *key) const noexcept { return Json(mdp_get(value_, key)); }
    std::size_t size() const noexcept { return mdp_count(value_); }
    std::string_view key() const noexcept { return to_view(mdp_key(value_)); }
    std::string_view raw() const noexcept { return to_view(mdp_raw(value_)); }

    std::string_view string(std::string_view otherwise = {}) const noexcept {
        return type() == MDP_STRING ? to_view(mdp_string(value_)) : otherwise;
    }
    bool boolean(bool otherwise) const noexcept { return mdp_bool(value_, otherwise); }
    std::int64_t integer(std::int64_t otherwise) const noexcept { return mdp_integer(value_, otherwise); }
    double number(double otherwise) const noexcept { return mdp_number(value_, otherwise); }

    /* Calls `each` with every element of a list or member of an object. */
    template <class Each> void for_each(Each each) const {
        for (const mdp_json *v = mdp_first(value_); v != nullptr; v = mdp_next(value_, v)) each(Json(v));
    }

    /* Fails with INVALID_PARAMETER_VALUE if the object has a key that is not among `known`. */
    template <class... Keys> void expect_keys(const char *what, Keys... known) const {
        const char *const keys[] = {known..., nullptr};
        const mdp_text unknown = mdp_unknown_key(value_, keys);
        if (unknown.ptr == nullptr) return;
        std::string message = std::string("unknown ") + what + " `" + unknown.ptr + "`: expected one of";
        ((message += " `" + std::string(known) + "`"), ...);
        throw Error(MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE, message);
    }

  private:
    const mdp_json *value_;
};

/* A JSON document and its text. */
class Document {
  public:
    /* Fails with INVALID_PARAMETER_VALUE if the text is not JSON. */
    explicit Document(std::string text) : text_(std::move(text)) {
        std::size_t position = 0;
        root_ = mdp_parse(to_text(text_), &position);
        if (root_ != nullptr) return;
        throw Error(MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE,
                    "failed to read the JSON at byte " + std::to_string(position) + ": expected JSON in UTF-8");
    }
    Document(const Document &) = delete;
    Document &operator=(const Document &) = delete;
    ~Document() { mdp_free(root_); }

    Json root() const noexcept { return Json(root_); }

  private:
    std::string text_;
    mdp_json *root_;
};

/* Bytes that grow, with functions that write JSON. A key is nullptr in a list. */
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    Buffer(Buffer &&other) noexcept : bytes_(other.release()) {}
    ~Buffer() { mdp_release(&bytes_); }

    Buffer &append(std::string_view bytes) { return mdp_append(&bytes_, to_text(bytes)), *this; }
    Buffer &begin(const char *key, char bracket) { return mdp_begin(&bytes_, key, bracket), *this; }
    Buffer &end(char bracket) { return mdp_end(&bytes_, bracket), *this; }
    Buffer &string(const char *key, std::string_view value) {
        return mdp_put_string(&bytes_, key, to_text(value)), *this;
    }
    Buffer &boolean(const char *key, bool value) { return mdp_put_bool(&bytes_, key, value), *this; }
    Buffer &integer(const char *key, std::int64_t value) { return mdp_put_integer(&bytes_, key, value), *this; }
    Buffer &number(const char *key, double value) { return mdp_put_number(&bytes_, key, value), *this; }
    Buffer &raw(const char *key, std::string_view value) { return mdp_put_raw(&bytes_, key, to_text(value)), *this; }

    std::string_view view() const noexcept { return to_view({bytes_.ptr, bytes_.len}); }
    /* Passes the bytes to the caller. */
    mdp_buffer release() noexcept { return std::exchange(bytes_, mdp_buffer{}); }

  private:
    mdp_buffer bytes_{};
};

/* The result of a call. Owns its bytes until the kit takes them. */
class Reply {
  public:
    Reply() noexcept : reply_(mdp_ok()) {}
    Reply(const char *content_type, std::string_view bytes) : reply_(mdp_copy(content_type, to_text(bytes))) {}
    /* Takes the bytes of the buffer. */
    Reply(const char *content_type, Buffer &bytes) : reply_(mdp_bytes_reply(content_type, bytes.release())) {}
    /* Takes a reply of the C functions. */
    explicit Reply(mdp_reply reply) noexcept : reply_(reply) {}
    Reply(const Reply &) = delete;
    Reply &operator=(const Reply &) = delete;
    Reply(Reply &&other) noexcept : reply_(other.release()) {}
    ~Reply() { mdp_discard(reply_); }

    static Reply json(std::string_view json) { return Reply(nullptr, json); }
    /* Takes the bytes of the buffer. */
    static Reply json(Buffer &json) { return Reply(nullptr, json); }

    mdp_reply release() noexcept { return std::exchange(reply_, mdp_reply{}); }

  private:
    mdp_reply reply_;
};

/* A running call. */
class Call {
  public:
    explicit Call(mdp_call *call) noexcept : call_(call) {}

    std::string_view body() const noexcept { return to_view(mdp_body(call_)); }
    const char *content_type() const noexcept { return mdp_content_type(call_); }
    bool is_cancelled() const noexcept { return mdp_is_cancelled(call_); }
    std::optional<std::uint64_t> remaining_ms() const noexcept {
        const std::uint64_t left = mdp_remaining_ms(call_);
        return left == UINT64_MAX ? std::nullopt : std::optional(left);
    }
    /* Waits. Returns false at once if the call is cancelled. */
    bool wait(std::uint64_t ms) const noexcept { return mdp_wait(call_, ms); }
    /* Sends a chunk once there is credit for it. Returns false if the call is cancelled. */
    bool send(const char *content_type, std::string_view chunk) const noexcept {
        return mdp_send(call_, content_type, to_text(chunk));
    }
    void event(std::uint32_t level, const std::string &message) const noexcept {
        mdp_event(call_, level, "%s", message.c_str());
    }
    void progress(double part, const std::string &message) const noexcept {
        mdp_progress(call_, part, "%s", message.c_str());
    }

  private:
    mdp_call *call_;
};

namespace detail {

/* Runs `work`, and returns its reply or its exception as an error. */
template <class Work> mdp_reply guard(Work work) noexcept {
    try {
        return work().release();
    } catch (const Error &error) {
        const mdp_reply reply = mdp_error(error.code().c_str(), "%s", error.what());
        return error.is_retryable() ? mdp_retryable(reply) : reply;
    } catch (const std::bad_alloc &) {
        return mdp_error(MLFLOW_DEPLOY_CODE_RESOURCE_EXHAUSTED, "the plugin has no memory left for the call");
    } catch (const std::exception &error) {
        return mdp_error(MLFLOW_DEPLOY_CODE_INTERNAL_ERROR, "the plugin failed: %s", error.what());
    } catch (...) {
        return mdp_error(MLFLOW_DEPLOY_CODE_INTERNAL_ERROR, "the plugin failed: it threw no std::exception");
    }
}

template <class Client> mdp_reply open(mdp_call *call, const mdp_json *arguments, void **client) {
    return guard([&] {
        Call wrapped(call);
        *client = new Client(wrapped, Json(arguments));
        return Reply();
    });
}

template <class Client> void close(void *client) { delete static_cast<Client *>(client); }

template <class Client, auto method> mdp_reply run(mdp_call *call, const mdp_json *arguments, void *client) {
    return guard([&] {
        Call wrapped(call);
        if constexpr (std::is_member_function_pointer_v<decltype(method)>)
            return (static_cast<Client *>(client)->*method)(wrapped, Json(arguments));
        else
            return static_cast<void>(client), method(wrapped, Json(arguments));
    });
}

/* Defines `of_NAME`: the function for the method NAME of a class, or nullptr if the class does not have it. */
#define MDP_METHOD(name)                                                                                \
    template <class Client, class = void> struct of_##name {                                            \
        static constexpr mdp_function value = nullptr;                                                  \
    };                                                                                                  \
    template <class Client> struct of_##name<Client, std::void_t<decltype(&Client::name)>> {            \
        static constexpr mdp_function value = &run<Client, &Client::name>;                              \
    };
#define MDP_METHODS(each)                                                                               \
    each(target_help) each(run_local) each(create_deployment) each(update_deployment)                   \
    each(delete_deployment) each(get_deployment) each(list_deployments) each(create_endpoint)           \
    each(update_endpoint) each(delete_endpoint) each(get_endpoint) each(list_endpoints) each(predict)   \
    each(predict_stream) each(explain) each(invoke)

MDP_METHODS(MDP_METHOD)

template <class Client> constexpr mdp_functions functions() {
    mdp_functions all{};
    all.open = &open<Client>;
    all.close = &close<Client>;
#define MDP_SET(name) all.name = of_##name<Client>::value;
    MDP_METHODS(MDP_SET)
#undef MDP_SET
    return all;
}

#undef MDP_METHODS
#undef MDP_METHOD

} // namespace detail
} // namespace mlflow_deploy

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

/* Makes the class the plugin's target. Used once, at namespace scope. */
#define MLFLOW_DEPLOY_TARGET(Client) \
    extern "C" constexpr mdp_functions mdp_plugin = mlflow_deploy::detail::functions<Client>()

#endif // MLFLOW_DEPLOY_KIT_HPP
