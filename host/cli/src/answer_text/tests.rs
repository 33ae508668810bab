//! Each form of an answer, whole and streamed.

use mlflow_deploy::JSON;

use super::*;

/// Reads the chunks of an answer. Returns the printed text, the notes and the usage.
fn read(chunks: &[&str]) -> Result<(String, Vec<String>, Option<Usage>), String> {
    let mut answer = AnswerText::default();
    let message = |error| match error {
        CliError::Input(message) => message,
        CliError::Target(error) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let mut text = String::new();
    for chunk in chunks {
        text += &answer.read(&Payload::new(JSON, *chunk)).map_err(message)?;
    }
    text += &answer.finish().map_err(message)?;
    Ok((text, answer.notes(), answer.usage()))
}

#[test]
fn the_text_of_every_form_is_read() {
    for (chunks, text) in [
        (&[r#"{"choices":[{"message":{"role":"assistant","content":"a chat"}}]}"#][..], "a chat"),
        (
            &[
                r#"{"choices":[{"index":0,"message":{"content":[{"type":"text","text":"in "},{"type":"text","text":"parts"}]}}]}"#,
            ],
            "in parts",
        ),
        (&[r#"{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}"#], "a\n\nb"),
        (&[r#"{"choices":[{"text":"a completion","index":0}]}"#], "a completion"),
        (&[r#"{"choices":[{"message":{"content":null,"refusal":"I cannot"}}]}"#], "I cannot"),
        (
            &[
                r#"{"object":"response","output":[{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"a response"}]}]}"#,
            ],
            "a response",
        ),
        (
            &[
                r#"{"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"a message"}]}"#,
            ],
            "a message",
        ),
        (&[r#"{"messages":[{"role":"tool","content":"4"},{"role":"assistant","content":"an agent"}]}"#], "an agent"),
        (&[r#"{"predictions":["one","two"]}"#], "one\n\ntwo"),
        (
            &[
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
                r#"{"choices":[{"index":1,"delta":{"content":"second"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"fi"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"rst"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            ],
            "first\n\nsecond",
        ),
        (&[r#"{"choices":[{"text":"a "}]}"#, r#"{"choices":[{"text":"stream"}]}"#], "a stream"),
        (
            &[
                r#"{"type":"response.created","response":{"output":[]}}"#,
                r#"{"type":"response.output_text.delta","delta":"del"}"#,
                r#"{"type":"response.output_text.delta","delta":"tas"}"#,
                r#"{"type":"response.output_text.done","text":"deltas"}"#,
                r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"deltas"}]}}"#,
                r#"{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"deltas"}]}]}}"#,
            ],
            "deltas",
        ),
        (
            &[
                r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"whole"}]}}"#,
            ],
            "whole",
        ),
        (
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
            ],
            "hello",
        ),
    ] {
        assert_eq!(read(chunks), Ok((text.to_owned(), Vec::new(), None)), "{chunks:?}");
    }
}

#[test]
fn tool_calls_are_named() {
    let expected = vec![r#"the answer calls the tool `weather` with `{"city":"Bern"}`"#.to_owned()];
    for chunks in [
        &[
            r#"{"choices":[{"message":{"content":"ok","tool_calls":[{"function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]}}]}"#,
        ][..],
        &[
            r#"{"choices":[{"message":{"content":"ok","function_call":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}}]}"#,
        ],
        &[
            r#"{"choices":[{"delta":{"content":"ok","tool_calls":[{"index":0,"function":{"name":"weather","arguments":"{\"city\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":\"Bern\"}"}}]}}]}"#,
        ],
        &[
            r#"{"output":[{"type":"function_call","name":"weather","arguments":"{\"city\":\"Bern\"}"},{"type":"message","content":[{"type":"output_text","text":"ok"}]}]}"#,
        ],
        &[
            r#"{"type":"response.output_text.delta","delta":"ok"}"#,
            r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"weather","arguments":"{\"city\":\"Bern\"}"}}"#,
        ],
        &[r#"{"content":[{"type":"text","text":"ok"},{"type":"tool_use","name":"weather","input":{"city":"Bern"}}]}"#],
        &[
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ok"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"weather","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"city\":"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"\"Bern\"}"}}"#,
        ],
    ] {
        assert_eq!(read(chunks), Ok(("ok".to_owned(), expected.clone(), None)), "{chunks:?}");
    }
}

#[test]
fn an_answer_without_text_is_an_error() {
    let only_tools = r#"{"choices":[{"message":{"content":null,"tool_calls":[{"function":{"name":"a","arguments":"{}"}},{"function":{"name":"b"}}]}}]}"#;
    for (chunks, message) in [
        (
            &[r#"{"predictions":[1.5]}"#][..],
            "the answer has no text, expected a chat, a completion, a response or a message",
        ),
        (&[r#"{"predictions":["a",1]}"#], "the answer has no text, expected"),
        (&[r#"{"data":[{"embedding":[1]}]}"#], "the answer has no text, expected"),
        (&["[1]"], "the answer has no text, expected"),
        (&[], "the answer has no text, expected"),
        (&[r#"{"choices":[{"message":{"content":""}}]}"#], "the answer has no text, expected"),
        (&[only_tools], "the answer has no text, only calls of tools: `a`, `b`; omit `--text`"),
        (&[r#"{"content":[{"type":"image"}]}"#], "the answer has no text, only other parts: `image`"),
        (&[r#"{"type":"response.failed","response":{"error":{"message":"too long"}}}"#], "the model failed: too long"),
        (&[r#"{"type":"error","error":{"message":"overloaded"}}"#], "the model failed: overloaded"),
    ] {
        let error = read(chunks).unwrap_err();
        assert!(error.starts_with(message), "{chunks:?}: {error}");
    }
}

#[test]
fn the_usage_is_read_from_answers_and_streams() {
    for chunks in [
        &[r#"{"choices":[{"text":"x"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#][..],
        &[r#"{"choices":[{"text":"x"}]}"#, r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#],
        &[
            r#"{"type":"response.output_text.delta","delta":"x"}"#,
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4}}}"#,
        ],
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#,
            r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":4}}"#,
        ],
    ] {
        let (_, _, usage) = read(chunks).unwrap();
        let usage = usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (3, 4), "{chunks:?}");
    }
}
