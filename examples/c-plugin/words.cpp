// A target in C++17 on the kit: it counts and streams words. The constructor makes a client, the methods are the
// operations, and an exception is the error of its call.
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "mlflow_deploy_kit.hpp"

using mlflow_deploy::Buffer, mlflow_deploy::Call, mlflow_deploy::Error, mlflow_deploy::Json, mlflow_deploy::Reply;

MDP_MANIFEST("name": "words-cpp", "version": "1.0.0", "schemes": ["words-cpp"],
    "operations": ["target_help", "list_endpoints", "get_endpoint", "predict", "predict_stream"],
    "accepts": ["text/plain", "application/json"], "description": "counts and streams words, in C++",
    "options": {"type": "object", "properties": {"upper": {"type": "boolean", "description": "use upper case"}}},
    "config": {"predict": {"type": "object", "properties": {"delay_ms": {"type": "integer", "minimum": 0}}},
        "predict_stream": {"type": "object", "properties": {"delay_ms": {"type": "integer", "minimum": 0}}}});

namespace {

std::uint64_t delay(Json arguments) {
    const std::int64_t ms = arguments["config"]["delay_ms"].integer(0);
    if (ms < 0) throw Error(MLFLOW_DEPLOY_CODE_INVALID_PARAMETER_VALUE, "invalid `delay_ms`: expected 0 or more");
    return static_cast<std::uint64_t>(ms);
}

class Words {
  public:
    Words(Call &, Json arguments) : upper_(arguments["options"]["upper"].boolean(false)) {
        arguments["options"].expect_keys("option", "upper");
    }

    static Reply target_help(Call &, Json) {
        return {"text/markdown", "# words-cpp\n\nCounts the words of its inputs, and streams them.\n"};
    }

    Reply list_endpoints(Call &, Json) { return Reply::json(R"([{"name":"words"}])"); }

    Reply get_endpoint(Call &, Json arguments) {
        const std::string name(arguments["endpoint"].string());
        if (name == "words") return Reply::json(R"({"name":"words"})");
        throw Error(MLFLOW_DEPLOY_CODE_RESOURCE_DOES_NOT_EXIST, "unknown endpoint `" + name + "`: expected `words`");
    }

    Reply predict(Call &call, Json arguments) {
        if (!call.wait(delay(arguments))) return {}; // the kit has replied that the call was stopped
        std::int64_t words = 0;
        for (std::string_view rest = call.body(); !next_word(rest).empty();) words++;
        call.event(MLFLOW_DEPLOY_LEVEL_DEBUG, "counted " + std::to_string(words) + " words");
        return Reply::json(Buffer().begin(nullptr, '{').integer("words", words).end('}'));
    }

    Reply predict_stream(Call &call, Json arguments) {
        std::string_view rest = call.body();
        for (std::string word; !(word = next_word(rest)).empty();)
            if (!call.wait(delay(arguments)) || !call.send("text/plain", word)) break;
        return {};
    }

  private:
    bool upper_;

    // Takes the next word from `rest`. Returns an empty string at the end.
    std::string next_word(std::string_view &rest) const {
        constexpr std::string_view space = " \t\r\n\v\f";
        rest.remove_prefix(std::min(rest.find_first_not_of(space), rest.size()));
        std::string word(rest.substr(0, rest.find_first_of(space)));
        rest.remove_prefix(word.size());
        if (upper_)
            for (char &each : word) each = static_cast<char>(std::toupper(static_cast<unsigned char>(each)));
        return word;
    }
};

} // namespace

MLFLOW_DEPLOY_TARGET(Words);
