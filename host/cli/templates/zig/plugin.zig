//! A target in Zig on the kit: it counts and streams words. It has an option, a stream, and a wait that a cancel ends.
const std = @import("std");
const kit = @import("kit.zig");

export const manifest linksection(".mlflow_deploy") = ("{\"manifest\":1,\"abi\":1,\"panic\":\"none\",\"target\":\"" ++ kit.MDP_TARGET ++ "\"," ++
    \\"name": "{{name}}", "version": "1.0.0", "schemes": ["{{scheme}}"], "description": "counts and streams words",
    \\"operations": ["list_endpoints", "get_endpoint", "predict", "predict_stream"],
    \\"accepts": ["text/plain", "application/json"],
    \\"options": {"type": "object", "properties": {"upper": {"type": "boolean", "description": "use upper case"}}},
    \\"config": {"predict": {"type": "object", "properties": {"delay_ms": {"type": "integer", "minimum": 0}}},
    \\    "predict_stream": {"type": "object", "properties": {"delay_ms": {"type": "integer", "minimum": 0}}}}}
).*;

const Client = struct { upper: bool };

const Call = ?*kit.mdp_call;
const Json = ?*const kit.mdp_json;

/// Returns the error for an invalid argument.
fn invalid(message: [*:0]const u8) kit.mdp_reply {
    return kit.mdp_error(kit.MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE, "%s", message);
}

fn open(_: Call, arguments: Json, made: ?*?*anyopaque) callconv(.c) kit.mdp_reply {
    const options = kit.mdp_get(arguments, "options");
    const upper = kit.mdp_get(options, "upper");
    const known = [_][*c]const u8{ "upper", null };
    const unknown = kit.mdp_unknown_key(options, &known);
    if (unknown.ptr != null)
        return kit.mdp_error(kit.MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE, "unknown option `%s`: use `upper`", unknown.ptr);
    if (upper != null and kit.mdp_type_of(upper) != kit.MDP_BOOL) return invalid("invalid option `upper`: expected true or false");
    const client = std.heap.c_allocator.create(Client) catch
        return kit.mdp_error(kit.MLFLOW_DEPLOY_CODE_RESOURCE_EXHAUSTED, "no memory is left for the client");
    client.* = .{ .upper = kit.mdp_bool(upper, false) };
    made.?.* = client;
    return kit.mdp_ok();
}

fn close(client: ?*anyopaque) callconv(.c) void {
    std.heap.c_allocator.destroy(self_of(client));
}

fn self_of(client: ?*anyopaque) *Client {
    return @ptrCast(@alignCast(client.?));
}

/// Returns the words of the inputs.
fn words_of(call: Call) std.mem.TokenIterator(u8, .any) {
    const body = kit.mdp_body(call);
    const inputs: []const u8 = if (body.len == 0) "" else body.ptr[0..body.len];
    return std.mem.tokenizeAny(u8, inputs, " \t\r\n");
}

/// Waits as long as the config of the call says. Returns false if the call is cancelled.
fn wait(call: Call, arguments: Json) bool {
    const delay = kit.mdp_integer(kit.mdp_get(kit.mdp_get(arguments, "config"), "delay_ms"), 0);
    return kit.mdp_wait(call, @intCast(@max(delay, 0)));
}

fn predict(call: Call, arguments: Json, _: ?*anyopaque) callconv(.c) kit.mdp_reply {
    if (!wait(call, arguments)) return kit.mdp_ok(); // the kit has replied that the call was stopped
    var words = words_of(call);
    var count: i64 = 0;
    while (words.next()) |_| count += 1;
    var json: kit.mdp_buffer = .{};
    kit.mdp_begin(&json, null, '{');
    kit.mdp_put_integer(&json, "words", count);
    kit.mdp_end(&json, '}');
    return kit.mdp_json_reply(json);
}

fn predict_stream(call: Call, arguments: Json, client: ?*anyopaque) callconv(.c) kit.mdp_reply {
    var words = words_of(call);
    while (words.next()) |word| {
        var chunk: kit.mdp_buffer = .{};
        defer kit.mdp_release(&chunk);
        kit.mdp_append(&chunk, .{ .ptr = word.ptr, .len = word.len });
        if (self_of(client).upper) for (chunk.ptr[0..chunk.len]) |*letter| {
            letter.* = std.ascii.toUpper(letter.*);
        };
        if (!wait(call, arguments) or !kit.mdp_send(call, "text/plain", .{ .ptr = chunk.ptr, .len = chunk.len })) break;
    }
    return kit.mdp_ok();
}

fn get_endpoint(_: Call, arguments: Json, _: ?*anyopaque) callconv(.c) kit.mdp_reply {
    const name = kit.mdp_string(kit.mdp_get(arguments, "endpoint"));
    if (kit.mdp_equals(name, "words")) return kit.mdp_copy(null, kit.mdp_of("{\"name\":\"words\"}"));
    return kit.mdp_error(kit.MLFLOW_DEPLOY_CODE_RESOURCE_DOES_NOT_EXIST, "unknown endpoint `%s`: expected `words`", name.ptr);
}

fn list_endpoints(_: Call, _: Json, _: ?*anyopaque) callconv(.c) kit.mdp_reply {
    return kit.mdp_copy(null, kit.mdp_of("[{\"name\":\"words\"}]"));
}

export const mdp_plugin: kit.mdp_functions = .{
    .open = open,
    .close = close,
    .predict = predict,
    .predict_stream = predict_stream,
    .get_endpoint = get_endpoint,
    .list_endpoints = list_endpoints,
};
