// The census: which features does a value have that a JSON library may not handle as we do?
//
// What makes it safe is that it never lets go of the GIL: no Python code runs while it looks at
// containers that other threads hold as well. Types are told apart by
// their address, so no metaclass, `__eq__`, `__hash__` or `__class__` of anybody has a say.
// Everything is therefore borrowed, and no container can change under the walk.

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <datetime.h>
#include <structmember.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(Py_GIL_DISABLED) || defined(PYPY_VERSION)
#error "The census rests on CPython's GIL. The package does without it where there is none."
#endif

// As in features.py, which says what they mean.
enum {
    HAS_OTHER = 1 << 0,
    HAS_KEY = 1 << 1,
    HAS_NAN = 1 << 2,
    HAS_EXPONENT = 1 << 3,
    HAS_BIGINT = 1 << 4,
    HAS_HUGE = 1 << 5,
    HAS_ESCAPED = 1 << 6,
    HAS_SURROGATE = 1 << 7,
    IS_DEEP = 1 << 8,
    HAS_NAIVE = 1 << 9,
    HAS_AWARE = 1 << 10,
    HAS_DATE = 1 << 11,
    HAS_UUID = 1 << 12,
    HAS_DECIMAL = 1 << 13,
    HAS_INT_KEYS = 1 << 14,
    // Where the census stops, and what it hasn't seen may be anything.
    INCOMPLETE = HAS_OTHER | IS_DEEP,
};

#define MAX_DEPTH 1000
// A list that holds one list twice, which holds one list twice, and so on, has more values than
// anybody can count, and the GIL is held meanwhile. These take about half a second.
#define MAX_VALUES 100000000

typedef struct {
    PyTypeObject *datetime;
    PyTypeObject *date;
    PyTypeObject *timedelta;
    PyTypeObject *timezone;
    PyObject *timezone_utcoffset;
    PyObject *utc;
    PyObject *max_uint64;
    // These are NULL where they aren't such that nothing of them is written in Python.
    PyTypeObject *zoneinfo;
    PyObject *zoneinfo_utcoffset;
    PyTypeObject *decimal;
    PyObject *decimal_is_finite;
    PyTypeObject *uuid;
    Py_ssize_t uuid_int;  // where an UUID keeps its integer
} census_state;

// What is left to visit of one container.
typedef struct {
    PyObject *dict;  // NULL for a list or a tuple
    int keys;        // which kinds of keys it has, of those below
    union {
        Py_ssize_t position;
        PyObject **item;
    } next;
    PyObject **end;
} census_level;

enum {
    STR_KEY = 1,
    INT_KEY = 2,
    OTHER_KEY = 4,
};

// Two ints are never spelled the same, but an int and a str, or anything else, may be.
static const int KEY_FLAGS[8] = {
    0, 0, HAS_INT_KEYS, HAS_KEY, HAS_KEY, HAS_KEY, HAS_KEY, HAS_KEY,
};

static inline uint64_t
eight(const unsigned char *text)
{
    uint64_t word;
    memcpy(&word, text, 8);
    return word;
}

static inline uint32_t
four(const unsigned char *text)
{
    uint32_t word;
    memcpy(&word, text, 4);
    return word;
}

// Whether there is a U+007F in ASCII, which has no bit 7, so that adding 1 sets it just there.
// Words overlap so that there is no loop for the short strings that most are: memchr() takes
// longer to call than this takes.
static inline int
has_delete(const unsigned char *text, size_t size)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t bits = ones << 7;
    if (size < 4) {
        // There is a NUL behind the last character.
        return ((text[0] + 1) | (text[size / 2] + 1) | (text[size ? size - 1 : 0] + 1)) & 0x80;
    }
    if (size < 8) {
        uint32_t sums = (four(text) + (uint32_t)ones) | (four(text + size - 4) + (uint32_t)ones);
        return (sums & (uint32_t)bits) != 0;
    }
    if (size > 32) {
        return memchr(text, 0x7f, size) != NULL;
    }
    uint64_t sums = (eight(text) + ones) | (eight(text + size - 8) + ones);
    if (size > 16) {
        sums |= (eight(text + 8) + ones) | (eight(text + size - 16) + ones);
    }
    return (sums & bits) != 0;
}

static int
wide_text_flags(PyObject *text)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(text);
    int found = 0;

#if PY_VERSION_HEX < 0x030C0000
    if (!PyUnicode_IS_READY(text)) {
        // Made by an API that was deprecated in Python 3.3. To make it ready allocates.
        return HAS_OTHER;
    }
#endif
    // Neither loop ends at the first one, so that compilers can vectorize them.
    if (PyUnicode_KIND(text) == PyUnicode_2BYTE_KIND) {
        const Py_UCS2 *characters = PyUnicode_2BYTE_DATA(text);
        for (Py_ssize_t at = 0; at < size; at++) {
            found |= (characters[at] & 0xF800u) == 0xD800u;
        }
    }
    else if (PyUnicode_KIND(text) == PyUnicode_4BYTE_KIND) {
        const Py_UCS4 *characters = PyUnicode_4BYTE_DATA(text);
        for (Py_ssize_t at = 0; at < size; at++) {
            found |= (characters[at] & 0xFFFFF800u) == 0xD800u;
        }
    }
    return found ? HAS_ESCAPED | HAS_SURROGATE : HAS_ESCAPED;
}

static inline int
text_flags(PyObject *text, int wanted)
{
    // Only a string that is ready can be compact and ASCII.
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        if (!(wanted & HAS_ESCAPED)) {
            return 0;
        }
        const unsigned char *characters = (const unsigned char *)((PyASCIIObject *)text + 1);
        return has_delete(characters, (size_t)PyUnicode_GET_LENGTH(text)) ? HAS_ESCAPED : 0;
    }
    return wide_text_flags(text);
}

static int
long_integer_flags(const census_state *state, PyObject *integer)
{
    const long long limit = (1LL << 53) - 1;
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(integer, &overflow);
    if (overflow == 0) {
        return number > limit || number < -limit ? HAS_BIGINT : 0;
    }
    if (overflow > 0) {
        // PyLong_AsUnsignedLongLong() would say it with an exception, and that allocates.
        PyObject *fits = PyLong_Type.tp_richcompare(integer, state->max_uint64, Py_LE);
        Py_DECREF(fits);
        if (fits == Py_True) {
            return HAS_BIGINT;
        }
    }
    return HAS_BIGINT | HAS_HUGE;
}

static inline int
integer_flags(const census_state *state, PyObject *integer)
{
    // One digit, which is less than 2**30.
#if PY_VERSION_HEX < 0x030C0000
    if (Py_SIZE(integer) >= -1 && Py_SIZE(integer) <= 1) {
#else
    if (PyUnstable_Long_IsCompact((PyLongObject *)integer)) {
#endif
        return 0;
    }
    return long_integer_flags(state, integer);
}

static inline int
float_flags(PyObject *number)
{
    double size = fabs(PyFloat_AS_DOUBLE(number));
    if ((size >= 1e-4 && size < 1e16) || size == 0) {
        return 0;
    }
    return isfinite(size) ? HAS_EXPONENT : HAS_NAN;
}

static int
zoned_flags(const census_state *state, PyObject *datetime, PyObject *zone)
{
    PyObject *utcoffset;
    if (zone == state->utc) {
        return HAS_AWARE;
    }
    if (Py_IS_TYPE(zone, state->timezone)) {
        utcoffset = state->timezone_utcoffset;
    }
    else if (state->zoneinfo != NULL && Py_IS_TYPE(zone, state->zoneinfo)) {
        utcoffset = state->zoneinfo_utcoffset;
    }
    else {
        return HAS_OTHER;
    }

    // Still no Python code, and nothing that could change a container: these two are C functions
    // of immutable types, and for an exact datetime they only look up a timedelta that the zone
    // holds already. The one thing that is ever allocated is a RecursionError where the caller
    // has come to the limit, and the garbage collector is not let in by that.
    PyObject *arguments[] = {zone, datetime};
    PyObject *offset = PyObject_Vectorcall(utcoffset, arguments, 2, NULL);
    if (offset == NULL) {
        PyErr_Clear();
        return HAS_OTHER;
    }
    // A timezone also takes a subclass of timedelta, and gives it back. It holds it, too, so
    // that this never is the last reference.
    int whole = Py_IS_TYPE(offset, state->timedelta)
                && PyDateTime_DELTA_GET_SECONDS(offset) % 60 == 0
                && PyDateTime_DELTA_GET_MICROSECONDS(offset) == 0;
    Py_DECREF(offset);
    return whole ? HAS_AWARE : HAS_OTHER;
}

static int
rare_flags(const census_state *state, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == state->datetime) {
        PyObject *zone = PyDateTime_DATE_GET_TZINFO(value);
        return zone == Py_None ? HAS_NAIVE : zoned_flags(state, value, zone);
    }
    if (type == state->uuid) {
        // UUID(int=Decimal(1)) is possible, and orjson takes whatever is there for an int.
        PyObject *integer = *(PyObject **)((char *)value + state->uuid_int);
        return integer != NULL && PyLong_CheckExact(integer) ? HAS_UUID : HAS_OTHER;
    }
    if (type == state->decimal) {
        // A C function of an immutable type that only returns True or False.
        PyObject *is_finite = PyObject_Vectorcall(state->decimal_is_finite, &value, 1, NULL);
        if (is_finite == NULL) {
            PyErr_Clear();
            return HAS_OTHER;
        }
        Py_DECREF(is_finite);
        return is_finite == Py_True ? HAS_DECIMAL : HAS_OTHER;
    }
    if (type == state->date) {
        return HAS_DATE;
    }
    return HAS_OTHER;
}

// Not recursive, since a thread may have a stack of 128 KiB only, and not inlined, so that these
// 24 KB of it are free again when the encoder runs. Flags that aren't wanted may be left out.
static Py_NO_INLINE int
walk(const census_state *state, PyObject *value, long max_depth, int wanted)
{
    census_level levels[MAX_DEPTH + 1];
    census_level *level = levels;
    const census_level *deepest = levels + max_depth;
    Py_ssize_t values_left = MAX_VALUES;
    int flags = 0;

    level->dict = NULL;
    level->next.item = &value;
    level->end = &value + 1;

    for (;;) {
        PyObject *item;
        if (level->dict != NULL) {
            PyObject *key;
            if (!PyDict_Next(level->dict, &level->next.position, &key, &item)) {
                flags |= KEY_FLAGS[level->keys];
                level--;
                continue;
            }
            if (PyUnicode_CheckExact(key)) {
                flags |= text_flags(key, wanted);
                level->keys |= STR_KEY;
            }
            else {
                level->keys |= PyLong_CheckExact(key) ? INT_KEY : OTHER_KEY;
            }
        }
        else if (level->next.item != level->end) {
            item = *level->next.item++;
        }
        else if (level != levels) {
            level--;
            continue;
        }
        else {
            return flags;
        }

        PyTypeObject *type = Py_TYPE(item);
        if (type == &PyUnicode_Type) {
            flags |= text_flags(item, wanted);
        }
        else if (type == &PyLong_Type) {
            flags |= integer_flags(state, item);
        }
        else if (type == &PyFloat_Type) {
            flags |= float_flags(item);
        }
        else if (type == &PyDict_Type || type == &PyList_Type || type == &PyTuple_Type) {
            if (level == deepest) {
                return flags | IS_DEEP;
            }
            level++;
            if (type == &PyDict_Type) {
                level->dict = item;
                level->keys = 0;
                level->next.position = 0;
                values_left -= PyDict_GET_SIZE(item);
            }
            else {
                level->dict = NULL;
                level->next.item = PySequence_Fast_ITEMS(item);
                level->end = level->next.item + PySequence_Fast_GET_SIZE(item);
                values_left -= PySequence_Fast_GET_SIZE(item);
            }
            // Empty ones count, too.
            if (--values_left < 0) {
                return flags | HAS_OTHER;
            }
        }
        else if (item != Py_None && type != &PyBool_Type) {
            flags |= rare_flags(state, item);
            if (flags & HAS_OTHER) {
                return flags;
            }
        }
    }
}

// The garbage collector runs finalizers, which are Python code. Python 3.11 may start it wherever
// something is allocated, also in the midst of an encoder: a Decimal is written by rules that are
// created when a thread or a request writes its first one. Later versions only start it between
// two instructions of Python code.
static int
pause_collector(void)
{
#if PY_VERSION_HEX < 0x030C0000
    return PyGC_Disable();
#else
    return 0;
#endif
}

static void
resume_collector(int was_running)
{
    if (was_running) {
        PyGC_Enable();
    }
}

static int
check_count(const char *name, Py_ssize_t given, Py_ssize_t expected)
{
    if (given == expected) {
        return 0;
    }
    PyErr_Format(
        PyExc_TypeError, "%s() takes exactly %zd arguments (%zd given)", name, expected, given
    );
    return -1;
}

static int
read_depth(PyObject *argument, long *max_depth)
{
    *max_depth = PyLong_AsLong(argument);
    if (*max_depth == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (*max_depth < 0 || *max_depth > MAX_DEPTH) {
        PyErr_Format(
            PyExc_ValueError, "'max_depth' must be from 0 to %d, got %ld.", MAX_DEPTH, *max_depth
        );
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(
    census_doc,
    "census($module, value, max_depth, /)\n"
    "--\n"
    "\n"
    "Return which features a value has, as flags of :mod:`.features`."
);

static PyObject *
census(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    long max_depth;
    if (check_count("census", nargs, 2) < 0 || read_depth(args[1], &max_depth) < 0) {
        return NULL;
    }

    int was_running = pause_collector();
    int flags = walk(PyModule_GetState(module), args[0], max_depth, ~0);
    resume_collector(was_running);
    return PyLong_FromLong(flags);
}

PyDoc_STRVAR(
    encode_doc,
    "encode($module, value, encoder, refused, max_depth, /)\n"
    "--\n"
    "\n"
    "Return ``encoder(value)``, or the flags of the value if some of them are refused."
);

static PyObject *
encode(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    long max_depth;
    if (check_count("encode", nargs, 4) < 0 || read_depth(args[3], &max_depth) < 0) {
        return NULL;
    }
    long refused = PyLong_AsLong(args[2]);
    if (refused == -1 && PyErr_Occurred()) {
        return NULL;
    }

    PyObject *result;
    int was_running = pause_collector();
    int flags = walk(PyModule_GetState(module), args[0], max_depth, (int)refused);
    // What an incomplete census hasn't seen could be refused, so that it counts as such.
    if (flags & (refused | INCOMPLETE)) {
        result = PyLong_FromLong(flags);
    }
    else {
        // In the same breath: another thread runs at the earliest when the encoder lets it.
        result = PyObject_CallOneArg(args[1], args[0]);
    }
    resume_collector(was_running);
    return result;
}

typedef struct {
    PyObject *container;  // a copy, which a container of the next higher level holds
    Py_ssize_t position;
} copy_level;

static int
is_container(PyObject *value)
{
    return PyDict_CheckExact(value) || PyList_CheckExact(value) || PyTuple_CheckExact(value);
}

static PyObject *
copy_one(PyObject *container)
{
    return PyDict_CheckExact(container) ? PyDict_Copy(container) : PySequence_List(container);
}

// What takes the place of a member, with a reference of its own, or NULL if it stays.
static PyObject *
copy_of_member(PyObject *member)
{
    if (is_container(member)) {
        return copy_one(member);
    }
    if (PyFloat_CheckExact(member) && !isfinite(PyFloat_AS_DOUBLE(member))) {
        return Py_NewRef(Py_None);
    }
    return NULL;
}

// Copy what is in the copies, and so on, all within the root. No Python code runs: keys are exactly
// str or int, which are compared in C, and what is replaced is still in use elsewhere.
static Py_NO_INLINE int
copy_members(PyObject *root)
{
    copy_level levels[MAX_DEPTH + 1];
    copy_level *level = levels;
    level->container = root;
    level->position = 0;

    for (;;) {
        PyObject *key = NULL;
        PyObject *item;
        Py_ssize_t index = level->position;
        if (PyDict_CheckExact(level->container)) {
            if (!PyDict_Next(level->container, &level->position, &key, &item)) {
                item = NULL;
            }
        }
        else if (level->position < PyList_GET_SIZE(level->container)) {
            item = PyList_GET_ITEM(level->container, level->position++);
        }
        else {
            item = NULL;
        }
        if (item == NULL) {
            if (level == levels) {
                return 0;
            }
            level--;
            continue;
        }
        PyObject *copy = copy_of_member(item);
        if (copy == NULL) {
            if (PyErr_Occurred()) {
                return -1;
            }
            continue;
        }
        if (key != NULL) {
            int failed = PyDict_SetItem(level->container, key, copy) < 0;
            Py_DECREF(copy);
            if (failed) {
                return -1;
            }
        }
        else if (PyList_SetItem(level->container, index, copy) < 0) {
            return -1;
        }
        if (copy != Py_None) {
            level++;
            level->container = copy;
            level->position = 0;
        }
    }
}

PyDoc_STRVAR(
    snapshot_doc,
    "snapshot($module, value, refused, max_depth, /)\n"
    "--\n"
    "\n"
    "Return a copy of a value with all its containers, and None for each float that is NaN or\n"
    "infinite; or its flags if some of them are refused."
);

static PyObject *
snapshot(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    long max_depth;
    if (check_count("snapshot", nargs, 3) < 0 || read_depth(args[2], &max_depth) < 0) {
        return NULL;
    }
    long refused = PyLong_AsLong(args[1]);
    if (refused == -1 && PyErr_Occurred()) {
        return NULL;
    }

    PyObject *result;
    int was_running = pause_collector();
    int flags = walk(PyModule_GetState(module), args[0], max_depth, (int)refused);
    if (flags & (refused | HAS_KEY | INCOMPLETE)) {
        result = PyLong_FromLong(flags);
    }
    else {
        result = copy_of_member(args[0]);
        if (result == NULL && !PyErr_Occurred()) {
            result = Py_NewRef(args[0]);
        }
        else if (result != NULL && result != Py_None && copy_members(result) < 0) {
            Py_CLEAR(result);
        }
    }
    resume_collector(was_running);
    return result;
}

// Return a type that is written in C and that nobody can patch, or NULL.
static PyTypeObject *
immutable_type(PyObject *module, const char *name)
{
    PyObject *type = PyObject_GetAttrString(module, name);
    if (type == NULL) {
        return NULL;
    }
    if (PyType_Check(type) && PyType_HasFeature((PyTypeObject *)type, Py_TPFLAGS_IMMUTABLETYPE)) {
        return (PyTypeObject *)type;
    }
    PyErr_Format(PyExc_ImportError, "'%s' isn't written in C.", name);
    Py_DECREF(type);
    return NULL;
}

static PyObject *
c_method(PyTypeObject *type, const char *name)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)type, name);
    if (method != NULL && !Py_IS_TYPE(method, &PyMethodDescr_Type)) {
        PyErr_Format(PyExc_ImportError, "'%s.%s' isn't written in C.", type->tp_name, name);
        Py_CLEAR(method);
    }
    return method;
}

static int
find_datetime(census_state *state)
{
    PyObject *module = PyImport_ImportModule("_datetime");
    if (module == NULL) {
        return -1;
    }
    (void)PyDateTimeAPI;  // only its header is of use here, which has the layouts
    if ((state->datetime = immutable_type(module, "datetime")) != NULL
        && (state->date = immutable_type(module, "date")) != NULL
        && (state->timedelta = immutable_type(module, "timedelta")) != NULL
        && (state->timezone = immutable_type(module, "timezone")) != NULL
        && (state->timezone_utcoffset = c_method(state->timezone, "utcoffset")) != NULL)
    {
        state->utc = PyObject_GetAttrString((PyObject *)state->timezone, "utc");
    }
    Py_DECREF(module);
    return state->utc == NULL ? -1 : 0;
}

static int
find_zoneinfo(census_state *state)
{
    PyObject *module = PyImport_ImportModule("_zoneinfo");
    if (module == NULL) {
        return -1;
    }
    PyTypeObject *type = immutable_type(module, "ZoneInfo");
    Py_DECREF(module);
    if (type == NULL) {
        return -1;
    }
    state->zoneinfo_utcoffset = c_method(type, "utcoffset");
    if (state->zoneinfo_utcoffset == NULL) {
        Py_DECREF(type);
        return -1;
    }
    state->zoneinfo = type;
    return 0;
}

static int
find_decimal(census_state *state)
{
    PyObject *module = PyImport_ImportModule("_decimal");
    if (module == NULL) {
        return -1;
    }
    PyTypeObject *type = immutable_type(module, "Decimal");
    Py_DECREF(module);
    if (type == NULL) {
        return -1;
    }
    state->decimal_is_finite = c_method(type, "is_finite");
    if (state->decimal_is_finite == NULL) {
        Py_DECREF(type);
        return -1;
    }
    state->decimal = type;
    return 0;
}

// UUID is written in Python, but keeps its integer in a slot, where it can be read without.
static int
find_uuid(census_state *state)
{
    PyObject *module = PyImport_ImportModule("uuid");
    if (module == NULL) {
        return -1;
    }
    PyObject *type = PyObject_GetAttrString(module, "UUID");
    Py_DECREF(module);
    if (type == NULL) {
        return -1;
    }
    PyObject *slot = PyObject_GetAttrString(type, "int");
    if (slot != NULL && PyType_Check(type) && Py_IS_TYPE(slot, &PyMemberDescr_Type)
        && ((PyMemberDescrObject *)slot)->d_member->type == T_OBJECT_EX)
    {
        state->uuid = (PyTypeObject *)Py_NewRef(type);
        state->uuid_int = ((PyMemberDescrObject *)slot)->d_member->offset;
    }
    else if (slot != NULL) {
        PyErr_SetString(PyExc_ImportError, "'UUID.int' isn't a slot.");
    }
    Py_XDECREF(slot);
    Py_DECREF(type);
    return state->uuid == NULL ? -1 : 0;
}

// Without one of these, values of the type are OTHER.
static int
ignore_missing(int result)
{
    if (result < 0
        && !PyErr_ExceptionMatches(PyExc_ImportError)
        && !PyErr_ExceptionMatches(PyExc_AttributeError))
    {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

static int
census_exec(PyObject *module)
{
    census_state *state = PyModule_GetState(module);
    state->max_uint64 = PyLong_FromUnsignedLongLong(UINT64_MAX);
    if (state->max_uint64 == NULL
        || find_datetime(state) < 0
        || ignore_missing(find_zoneinfo(state)) < 0
        || ignore_missing(find_decimal(state)) < 0
        || ignore_missing(find_uuid(state)) < 0)
    {
        return -1;
    }
    return 0;
}

static int
census_traverse(PyObject *module, visitproc visit, void *arg)
{
    census_state *state = PyModule_GetState(module);
    Py_VISIT(state->datetime);
    Py_VISIT(state->date);
    Py_VISIT(state->timedelta);
    Py_VISIT(state->timezone);
    Py_VISIT(state->timezone_utcoffset);
    Py_VISIT(state->utc);
    Py_VISIT(state->zoneinfo);
    Py_VISIT(state->zoneinfo_utcoffset);
    Py_VISIT(state->decimal);
    Py_VISIT(state->decimal_is_finite);
    Py_VISIT(state->uuid);
    return 0;
}

static int
census_clear(PyObject *module)
{
    census_state *state = PyModule_GetState(module);
    Py_CLEAR(state->datetime);
    Py_CLEAR(state->date);
    Py_CLEAR(state->timedelta);
    Py_CLEAR(state->timezone);
    Py_CLEAR(state->timezone_utcoffset);
    Py_CLEAR(state->utc);
    Py_CLEAR(state->zoneinfo);
    Py_CLEAR(state->zoneinfo_utcoffset);
    Py_CLEAR(state->decimal);
    Py_CLEAR(state->decimal_is_finite);
    Py_CLEAR(state->uuid);
    return 0;
}

static void
census_free(void *module)
{
    census_state *state = PyModule_GetState(module);
    census_clear(module);
    // Not before, since the functions can still be called after census_clear(). Without types
    // all that the missing ones matched is OTHER, but an int is still compared with this.
    Py_CLEAR(state->max_uint64);
}

static PyMethodDef census_methods[] = {
    {"census", (PyCFunction)(void (*)(void))census, METH_FASTCALL, census_doc},
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL, encode_doc},
    {"snapshot", (PyCFunction)(void (*)(void))snapshot, METH_FASTCALL, snapshot_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot census_slots[] = {
    {Py_mod_exec, census_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef census_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "flask_concurrency_guard.json._census",
    .m_doc = "Tell what a value consists of before a native encoder gets it.",
    .m_size = sizeof(census_state),
    .m_methods = census_methods,
    .m_slots = census_slots,
    .m_traverse = census_traverse,
    .m_clear = census_clear,
    .m_free = census_free,
};

PyMODINIT_FUNC
PyInit__census(void)
{
    return PyModuleDef_Init(&census_module);
}
