//! The forms of answers: chats, completions, responses and messages, whole or as chunks of a stream.

use serde_json::Value;

use super::parts::Parts;

/// Reads the parts of an answer or of a chunk. Ignores an unknown form.
pub(super) fn read(value: &Value, answer: &mut Parts) {
    answer.add_usage(&value["usage"]);
    let kind = value["type"].as_str().unwrap_or_default();
    if kind.starts_with("response.") {
        return response_event(kind, value, answer);
    }
    match kind {
        "content_block_start" | "content_block_delta" | "message_start" => return message_event(kind, value, answer),
        _ => {}
    }
    for choices in ["choices", "candidates"] {
        for (position, choice) in items(&value[choices]) {
            choice_part(choice["index"].as_u64().unwrap_or(position), choice, answer);
        }
    }
    for (_, item) in items(&value["output"]) {
        output_item(item, answer);
    }
    // Messages of Anthropic have the content at the top, and chat agents of MLflow have a list of messages.
    content(0, &value["content"], answer);
    for (_, message) in items(&value["messages"]) {
        chat_message(0, message, answer);
    }
    chat_message(0, &value["delta"], answer);
    predictions(&value["predictions"], answer);
}

/// Reads the predictions of a model that returns text: one text, or a list of texts.
fn predictions(predictions: &Value, answer: &mut Parts) {
    answer.add_text(0, predictions.as_str().unwrap_or_default());
    if items(predictions).all(|(_, prediction)| prediction.is_string()) {
        for (position, prediction) in items(predictions) {
            answer.add_text(position, prediction.as_str().unwrap_or_default());
        }
    }
}

/// Reads a choice of a chat or of a completion.
fn choice_part(index: u64, choice: &Value, answer: &mut Parts) {
    answer.add_text(index, choice["text"].as_str().unwrap_or_default());
    chat_message(index, &choice["message"], answer);
    chat_message(index, &choice["delta"], answer);
}

/// Reads a message of a chat, or a part of one.
fn chat_message(index: u64, message: &Value, answer: &mut Parts) {
    if message["role"] == "tool" {
        // The result of a tool that the server has called itself.
        return;
    }
    content(index, &message["content"], answer);
    answer.add_text(index, message["refusal"].as_str().unwrap_or_default());
    for (position, call) in items(&message["tool_calls"]) {
        let (position, function) = (call["index"].as_u64().unwrap_or(position), &call["function"]);
        answer.tool_calls.add(index, position, function["name"].as_str(), &function["arguments"]);
    }
    let function = &message["function_call"];
    if function.is_object() {
        answer.tool_calls.add(index, 0, function["name"].as_str(), &function["arguments"]);
    }
}

/// Reads the content of a message: a text, or a list of parts.
fn content(index: u64, content: &Value, answer: &mut Parts) {
    answer.add_text(index, content.as_str().unwrap_or_default());
    for (_, part) in items(content) {
        match part["type"].as_str() {
            Some("text" | "output_text" | "input_text" | "summary_text") | None => {
                answer.add_text(index, part["text"].as_str().unwrap_or_default());
            }
            Some("refusal") => answer.add_text(index, part["refusal"].as_str().unwrap_or_default()),
            Some("tool_use" | "server_tool_use") => {
                answer.tool_calls.push(part["name"].as_str().unwrap_or_default(), &part["input"]);
            }
            // The model's thoughts are not its answer.
            Some("thinking" | "redacted_thinking" | "reasoning") => {}
            Some(other) => answer.add_other_part(other),
        }
    }
}

/// Reads an item in the `output` of a response.
fn output_item(item: &Value, answer: &mut Parts) {
    match item["type"].as_str() {
        Some("reasoning" | "function_call_output") => {}
        Some("message") | None => content(0, &item["content"], answer),
        Some("function_call" | "custom_tool_call" | "mcp_call") => {
            let arguments = if item["arguments"].is_null() { &item["input"] } else { &item["arguments"] };
            answer.tool_calls.push(item["name"].as_str().unwrap_or_default(), arguments);
        }
        Some(tool) if tool.ends_with("_call") => answer.tool_calls.push(tool.trim_end_matches("_call"), &Value::Null),
        Some(other) => answer.add_other_part(other),
    }
}

/// Reads an event of a streamed response. The text arrives in deltas; the items at the end repeat it.
fn response_event(kind: &str, event: &Value, answer: &mut Parts) {
    match kind {
        "response.output_text.delta" | "response.refusal.delta" => {
            answer.add_text(0, event["delta"].as_str().unwrap_or_default());
        }
        "response.output_item.done" if event["item"]["type"] == "message" => {
            // A server that sends no deltas sends the text here.
            if !answer.has_text {
                output_item(&event["item"], answer);
            }
        }
        "response.output_item.done" => output_item(&event["item"], answer),
        _ => answer.add_usage(&event["response"]["usage"]),
    }
}

/// Reads an event of a streamed message of Anthropic.
fn message_event(kind: &str, event: &Value, answer: &mut Parts) {
    let (position, block, delta) =
        (event["index"].as_u64().unwrap_or_default(), &event["content_block"], &event["delta"]);
    match kind {
        "message_start" => answer.add_usage(&event["message"]["usage"]),
        "content_block_start" if block["type"] == "text" => {
            answer.add_text(0, block["text"].as_str().unwrap_or_default());
        }
        "content_block_start" if block["name"].is_string() => {
            answer.tool_calls.add(0, position, block["name"].as_str(), &Value::Null);
        }
        "content_block_delta" if delta["type"] == "input_json_delta" => {
            answer.tool_calls.add(0, position, None, &delta["partial_json"]);
        }
        "content_block_delta" => answer.add_text(0, delta["text"].as_str().unwrap_or_default()),
        _ => {}
    }
}

/// Returns the items of a list with their positions. Returns none if the value is not a list.
fn items(value: &Value) -> impl Iterator<Item = (u64, &Value)> {
    (0..).zip(value.as_array().into_iter().flatten())
}
