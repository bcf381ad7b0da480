// The survey: what is in a document that a JSON library must not be left alone with?
//
// It goes through 64 bytes at a time. Of each kind of byte that matters there is a mask, which has
// a bit for every byte of the block, the first one lowest. What is outside of strings is told from
// the quotes as in simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019,
// https://arxiv.org/abs/1902.08318), but for its carry-less multiplication, which not every
// processor has.
//
// Of what isn't JSON, only the part before the first fault has to come out right, since no parser
// goes beyond that. So a bracket may close one of the other kind, and a backslash may escape a
// quote outside of strings.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

// SURVEY_PORTABLE is for the tests of what other processors get.
#ifdef SURVEY_PORTABLE
#elif defined(__SSE2__) || defined(_M_X64)
#define SURVEY_SSE2
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define SURVEY_NEON
#include <arm_neon.h>
#endif

// As in survey.py, which says what they mean.
enum {
    IS_DEEP = 1 << 0,
    HAS_WIDE = 1 << 1,
    HAS_EXTREME = 1 << 2,
    HAS_SURROGATE = 1 << 3,
};

#define MAX_DEPTH 1000
#define BLOCK 64

// An integer of 18 digits fits 64 bits for sure.
#define LONG_RUN 19
// Together with an exponent of two digits it takes 210 digits to overflow a double. And after a
// point, some libraries round hundreds of digits in the wrong direction.
#define VERY_LONG_RUN 200

typedef struct {
    uint64_t quotes;
    uint64_t backslashes;
    uint64_t openings;
    uint64_t closings;
    uint64_t digits;
    uint64_t exponents;  // what is before the digits of one: e, E, or +
} survey_masks;

typedef struct {
    const unsigned char *document;
    Py_ssize_t size;
    Py_ssize_t max_depth;
    int flags;
    // What the blocks so far have left for the next one.
    Py_ssize_t depth;
    Py_ssize_t counted;  // where the last long run of digits that was looked at ends
    uint64_t inside;     // all bits if it begins inside of a string
    uint64_t escaped;    // 1 if its first byte is escaped
    uint64_t exponent;   // 1 if the byte before it is one of exponents
    uint64_t digits;     // of the block before it, outside of strings
} survey_state;

#if defined(SURVEY_SSE2)

typedef __m128i bytes16;

#define LOAD(block) _mm_loadu_si128((const __m128i *)(block))
#define EQUAL(bytes, to) _mm_cmpeq_epi8(bytes, _mm_set1_epi8(to))
#define EITHER(bytes, others) _mm_or_si128(bytes, others)
#define LOWERED(bytes) _mm_or_si128(bytes, _mm_set1_epi8(0x20))
// Adding 80 makes -128 of '0', the lowest of the signed bytes, and -119 of '9'.
#define IS_DIGIT(bytes) \
    _mm_cmplt_epi8(_mm_add_epi8(bytes, _mm_set1_epi8(80)), _mm_set1_epi8(-118))

static inline uint64_t
gather(bytes16 first, bytes16 second, bytes16 third, bytes16 fourth)
{
    uint64_t low = (uint32_t)_mm_movemask_epi8(first) | (uint32_t)_mm_movemask_epi8(second) << 16;
    uint64_t high = (uint32_t)_mm_movemask_epi8(third) | (uint32_t)_mm_movemask_epi8(fourth) << 16;
    return low | high << 32;
}

#elif defined(SURVEY_NEON)

typedef uint8x16_t bytes16;

#define LOAD(block) vld1q_u8(block)
#define EQUAL(bytes, to) vceqq_u8(bytes, vdupq_n_u8(to))
#define EITHER(bytes, others) vorrq_u8(bytes, others)
#define LOWERED(bytes) vorrq_u8(bytes, vdupq_n_u8(0x20))
#define IS_DIGIT(bytes) vcltq_u8(vsubq_u8(bytes, vdupq_n_u8('0')), vdupq_n_u8(10))

// Each byte keeps its bit of eight. These are then added up by pairs, three times.
static inline uint64_t
gather(bytes16 first, bytes16 second, bytes16 third, bytes16 fourth)
{
    const uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
    uint8x16_t low = vpaddq_u8(vandq_u8(first, bits), vandq_u8(second, bits));
    uint8x16_t high = vpaddq_u8(vandq_u8(third, bits), vandq_u8(fourth, bits));
    low = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(low, low)), 0);
}

#endif

#if defined(SURVEY_SSE2) || defined(SURVEY_NEON)

#define IS_QUOTE(bytes) EQUAL(bytes, '"')
#define IS_BACKSLASH(bytes) EQUAL(bytes, '\\')
#define IS_OPENING(bytes) EQUAL(LOWERED(bytes), '{')
#define IS_CLOSING(bytes) EQUAL(LOWERED(bytes), '}')
#define IS_EXPONENT(bytes) EITHER(EQUAL(LOWERED(bytes), 'e'), EQUAL(bytes, '+'))
#define GATHER(test) gather(test(first), test(second), test(third), test(fourth))

static inline survey_masks
masks_of(const unsigned char *block)
{
    bytes16 first = LOAD(block);
    bytes16 second = LOAD(block + 16);
    bytes16 third = LOAD(block + 32);
    bytes16 fourth = LOAD(block + 48);
    return (survey_masks){
        .quotes = GATHER(IS_QUOTE),
        .backslashes = GATHER(IS_BACKSLASH),
        .openings = GATHER(IS_OPENING),
        .closings = GATHER(IS_CLOSING),
        .digits = GATHER(IS_DIGIT),
        .exponents = GATHER(IS_EXPONENT),
    };
}

#else

// A bit for each kind in the order of the masks.
static const unsigned char KINDS[256] = {
    ['"'] = 1, ['\\'] = 2, ['['] = 4, ['{'] = 4, [']'] = 8, ['}'] = 8,
    ['0'] = 16, ['1'] = 16, ['2'] = 16, ['3'] = 16, ['4'] = 16,
    ['5'] = 16, ['6'] = 16, ['7'] = 16, ['8'] = 16, ['9'] = 16,
    ['e'] = 32, ['E'] = 32, ['+'] = 32,
};

// Hacker's Delight, 7-3: bit j of byte i becomes bit i of byte j.
static inline uint64_t
transposed(uint64_t bits)
{
    uint64_t swapped = (bits ^ bits >> 7) & UINT64_C(0x00AA00AA00AA00AA);
    bits ^= swapped ^ swapped << 7;
    swapped = (bits ^ bits >> 14) & UINT64_C(0x0000CCCC0000CCCC);
    bits ^= swapped ^ swapped << 14;
    swapped = (bits ^ bits >> 28) & UINT64_C(0x00000000F0F0F0F0);
    return bits ^ swapped ^ swapped << 28;
}

static inline survey_masks
masks_of(const unsigned char *block)
{
    survey_masks masks = {0};
    for (int at = 0; at < BLOCK; at += 8) {
        uint64_t kinds = 0;
        for (int i = 0; i < 8; i++) {
            unsigned char byte = block[at + i];
            kinds |= (uint64_t)KINDS[byte] << 8 * i;
        }
        kinds = transposed(kinds);
        masks.quotes |= (kinds & 0xff) << at;
        masks.backslashes |= (kinds >> 8 & 0xff) << at;
        masks.openings |= (kinds >> 16 & 0xff) << at;
        masks.closings |= (kinds >> 24 & 0xff) << at;
        masks.digits |= (kinds >> 32 & 0xff) << at;
        masks.exponents |= (kinds >> 40 & 0xff) << at;
    }
    return masks;
}

#endif

// How many bits are set. Not every processor has an instruction for it.
static inline int
count(uint64_t bits)
{
    bits -= bits >> 1 & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) + (bits >> 2 & UINT64_C(0x3333333333333333));
    bits = (bits + (bits >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (int)(bits * UINT64_C(0x0101010101010101) >> 56);
}

static inline int
lowest(uint64_t bits)
{
#ifdef __GNUC__
    return __builtin_ctzll(bits);
#else
    return count((bits - 1) & ~bits);
#endif
}

static inline int
is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

// The bytes behind an escaping backslash. Of a run of backslashes each second one escapes, from
// the first on that isn't escaped itself. Subtracting sorts out the ones and the others at once:
// it is explained in simdjson's json_escape_scanner.h.
static inline uint64_t
escaped_by(uint64_t backslashes, uint64_t first_is_escaped, uint64_t *next_is_escaped)
{
    const uint64_t odd = UINT64_C(0xAAAAAAAAAAAAAAAA);
    uint64_t candidates = backslashes & ~first_is_escaped;
    uint64_t codes = ((candidates << 1 | odd) - candidates) ^ odd;
    *next_is_escaped = (codes & backslashes) >> 63;
    return codes ^ (backslashes | first_is_escaped);
}

// From each quote up to the next: every bit becomes the parity of itself and all lower ones.
static inline uint64_t
between(uint64_t quotes)
{
    quotes ^= quotes << 1;
    quotes ^= quotes << 2;
    quotes ^= quotes << 4;
    quotes ^= quotes << 8;
    quotes ^= quotes << 16;
    quotes ^= quotes << 32;
    return quotes;
}

// Where LONG_RUN set bits or more begin.
static inline uint64_t
long_runs(uint64_t bits)
{
    bits &= bits >> 1;
    bits &= bits >> 2;
    bits &= bits >> 4;
    bits &= bits >> 8;
    return bits & bits >> (LONG_RUN - 16);
}

static void
find_surrogate(survey_state *state, Py_ssize_t start, uint64_t escaped)
{
    for (; escaped != 0; escaped &= escaped - 1) {
        Py_ssize_t at = start + lowest(escaped);
        const unsigned char *text = state->document + at;
        if (state->size - at >= 3 && text[0] == 'u' && (text[1] | 0x20) == 'd'
            && (text[2] == '8' || text[2] == '9'
                || ((text[2] | 0x20) >= 'a' && (text[2] | 0x20) <= 'f')))
        {
            state->flags |= HAS_SURROGATE;
            return;
        }
    }
}

static void
find_exponent(survey_state *state, Py_ssize_t start, uint64_t candidates)
{
    for (; candidates != 0; candidates &= candidates - 1) {
        Py_ssize_t at = start + lowest(candidates);
        const unsigned char *digits = state->document + at;
        if (state->size - at >= 3 && is_digit(digits[1]) && is_digit(digits[2])) {
            state->flags |= HAS_EXTREME;
            return;
        }
    }
}

static void
measure_run(survey_state *state, Py_ssize_t begin)
{
    const unsigned char *document = state->document;
    Py_ssize_t end = begin + LONG_RUN;
    while (end < state->size && is_digit(document[end])) {
        end++;
    }
    // What is left of it in later blocks is not another one.
    state->counted = end;

    Py_ssize_t length = end - begin;
    unsigned char before = begin > 0 ? document[begin - 1] : ' ';
    if (length >= VERY_LONG_RUN) {
        state->flags |= HAS_WIDE | HAS_EXTREME;
    }
    else if (before != '.' && length >= LONG_RUN + (before != '-')) {
        // 9999999999999999999 fits when it isn't signed.
        state->flags |= HAS_WIDE;
    }
}

static void
measure_runs(survey_state *state, Py_ssize_t start, uint64_t runs)
{
    for (; runs != 0; runs &= runs - 1) {
        Py_ssize_t begin = start + lowest(runs);
        if (begin >= state->counted) {
            measure_run(state, begin);
        }
    }
}

static void
climb(survey_state *state, uint64_t openings, uint64_t closings)
{
    for (uint64_t brackets = openings | closings; brackets != 0; brackets &= brackets - 1) {
        uint64_t bracket = brackets & (0 - brackets);
        state->depth += bracket & openings ? 1 : -1;
        if (state->depth > state->max_depth) {
            state->flags |= IS_DEEP;
        }
    }
}

static Py_ALWAYS_INLINE inline void
survey_block(survey_state *state, const unsigned char *block, Py_ssize_t start)
{
    survey_masks masks = masks_of(block);

    uint64_t escaped = state->escaped;
    if (masks.backslashes == 0) {
        state->escaped = 0;
    }
    else {
        escaped = escaped_by(masks.backslashes, escaped, &state->escaped);
    }
    if (escaped != 0 && !(state->flags & HAS_SURROGATE)) {
        find_surrogate(state, start, escaped);
    }

    uint64_t inside = between(masks.quotes & ~escaped) ^ state->inside;
    state->inside = 0 - (inside >> 63);

    uint64_t digits = masks.digits & ~inside;
    uint64_t candidates = (masks.exponents << 1 | state->exponent) & digits;
    state->exponent = masks.exponents >> 63;
    if (candidates != 0 && !(state->flags & HAS_EXTREME)) {
        find_exponent(state, start, candidates);
    }

    // Half of the block before, half of this one: a run that goes from the one to the other.
    uint64_t runs_across = long_runs(state->digits >> 32 | digits << 32);
    uint64_t runs = long_runs(digits);
    state->digits = digits;
    if ((runs_across | runs) != 0) {
        measure_runs(state, start - 32, runs_across);
        measure_runs(state, start, runs);
    }

    // Below zero, the document has a fault already.
    uint64_t openings = masks.openings & ~inside;
    uint64_t closings = masks.closings & ~inside;
    int opened = count(openings);
    if (state->depth + opened > state->max_depth) {
        climb(state, openings, closings);
    }
    else {
        state->depth += opened - count(closings);
    }
}

static int
survey_document(const unsigned char *document, Py_ssize_t size, long max_depth)
{
    survey_state state = {.document = document, .size = size, .max_depth = max_depth};
    Py_ssize_t start = 0;
    for (; size - start >= BLOCK; start += BLOCK) {
        survey_block(&state, document + start, start);
    }
    if (start < size) {
        unsigned char rest[BLOCK];
        memset(rest, ' ', BLOCK);
        memcpy(rest, document + start, (size_t)(size - start));
        survey_block(&state, rest, start);
    }
    return state.flags;
}

PyDoc_STRVAR(
    survey_doc,
    "survey($module, document, max_depth, /)\n"
    "--\n"
    "\n"
    "Return what is in a document, as flags of :mod:`.survey`."
);

static PyObject *
survey(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_Format(PyExc_TypeError, "survey() takes exactly 2 arguments (%zd given)", nargs);
        return NULL;
    }
    if (!PyBytes_Check(args[0])) {
        PyErr_Format(
            PyExc_TypeError, "'document' must be bytes, got '%.100s'.", Py_TYPE(args[0])->tp_name
        );
        return NULL;
    }
    long max_depth = PyLong_AsLong(args[1]);
    if (max_depth == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (max_depth < 1 || max_depth > MAX_DEPTH) {
        PyErr_Format(
            PyExc_ValueError, "'max_depth' must be from 1 to %d, got %ld.", MAX_DEPTH, max_depth
        );
        return NULL;
    }
    const unsigned char *document = (const unsigned char *)PyBytes_AS_STRING(args[0]);
    return PyLong_FromLong(survey_document(document, PyBytes_GET_SIZE(args[0]), max_depth));
}

static PyMethodDef survey_methods[] = {
    {"survey", (PyCFunction)(void (*)(void))survey, METH_FASTCALL, survey_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot survey_slots[] = {
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    // It only looks at bytes, which never change.
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef survey_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "flask_concurrency_guard.json._survey",
    .m_doc = "Tell what is in a document before a native decoder gets it.",
    .m_size = 0,
    .m_methods = survey_methods,
    .m_slots = survey_slots,
};

PyMODINIT_FUNC
PyInit__survey(void)
{
    return PyModuleDef_Init(&survey_module);
}
