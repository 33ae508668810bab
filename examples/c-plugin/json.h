/*
 * Checks that bytes are one JSON object in UTF-8. Reads no byte past their end, and allocates no memory.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The maximum nesting: more than real inputs have, and too little to exhaust the stack. */
#define JSON_DEPTH 128

typedef struct {
    const uint8_t *at, *end;
} json_text;

static bool json_value(json_text *text, int depth);

static int json_peek(const json_text *text) { return text->at < text->end ? *text->at : -1; }

static bool json_take(json_text *text, int byte) {
    bool is_next = json_peek(text) == byte;
    text->at += is_next;
    return is_next;
}

static void json_space(json_text *text) {
    while (text->at < text->end && memchr(" \t\r\n", *text->at, 4) != NULL) text->at++;
}

static bool json_word(json_text *text, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(text->end - text->at) < length || memcmp(text->at, word, length) != 0) return false;
    text->at += length;
    return true;
}

static bool json_digits(json_text *text) {
    const uint8_t *begin = text->at;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9') text->at++;
    return text->at > begin;
}

static bool json_number(json_text *text) {
    json_take(text, '-');
    if (!json_take(text, '0') && !json_digits(text)) return false;
    if (json_take(text, '.') && !json_digits(text)) return false;
    if (!json_take(text, 'e') && !json_take(text, 'E')) return true;
    if (!json_take(text, '+')) json_take(text, '-');
    return json_digits(text);
}

/* Reads the bytes of a character after its first byte. Fails if they are not the shortest form of a valid character. */
static bool json_character(json_text *text, uint32_t first) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    uint32_t character = first & (0x3Fu >> more);
    if (first < 0xC2 || first > 0xF4) return false;
    for (int byte = 0; byte < more; byte++) {
        int next = json_peek(text);
        if (next < 0x80 || next > 0xBF) return false;
        character = character << 6 | ((uint32_t)next & 0x3F);
        text->at++;
    }
    return character >= least[more] && character <= 0x10FFFF && (character < 0xD800 || character > 0xDFFF);
}

static bool json_string(json_text *text) {
    if (!json_take(text, '"')) return false;
    while (text->at < text->end) {
        uint8_t byte = *text->at++;
        if (byte == '"') return true;
        if (byte < 0x20 || (byte >= 0x80 && !json_character(text, byte))) return false;
        if (byte != '\\') continue;
        if (json_take(text, 'u')) {
            for (int digit = 0; digit < 4; digit++) {
                int next = json_peek(text);
                if (next <= 0 || strchr("0123456789abcdefABCDEF", next) == NULL) return false;
                text->at++;
            }
        } else {
            int next = json_peek(text);
            if (next <= 0 || strchr("\"\\/bfnrt", next) == NULL) return false;
            text->at++;
        }
    }
    return false;
}

/* Reads the members of an object or the elements of a list, up to the closing bracket. */
static bool json_inside(json_text *text, int close, int depth) {
    if (depth == 0) return false;
    json_space(text);
    if (json_take(text, close)) return true;
    do {
        json_space(text);
        if (close == '}') {
            if (!json_string(text)) return false;
            json_space(text);
            if (!json_take(text, ':')) return false;
        }
        if (!json_value(text, depth - 1)) return false;
        json_space(text);
    } while (json_take(text, ','));
    return json_take(text, close);
}

static bool json_value(json_text *text, int depth) {
    json_space(text);
    switch (json_peek(text)) {
    case '{': text->at++; return json_inside(text, '}', depth);
    case '[': text->at++; return json_inside(text, ']', depth);
    case '"': return json_string(text);
    case 't': return json_word(text, "true");
    case 'f': return json_word(text, "false");
    case 'n': return json_word(text, "null");
    default: return json_number(text);
    }
}

static bool json_is_object(const uint8_t *bytes, size_t length) {
    json_text text = {bytes, bytes + length};
    json_space(&text);
    if (json_peek(&text) != '{' || !json_value(&text, JSON_DEPTH)) return false;
    json_space(&text);
    return text.at == text.end;
}

#endif
