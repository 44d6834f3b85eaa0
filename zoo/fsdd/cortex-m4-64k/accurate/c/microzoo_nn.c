/* Int8 neural network kernels for microcontrollers, C99. Part of Microzoo, Apache-2.0. See microzoo_nn.h.
 *
 * Channels are taken four at a time. Where their number is no multiple of four, the last four overlap those before them, and some
 * outputs are written twice, with the same value. Fewer than four channels are taken one by one.
 * Right shifts of negative numbers are arithmetic, as on every compiler that has an Arm or a wasm back end.
 */
#include "microzoo_nn.h"

#include <string.h>

#if defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32) && defined(__ARM_FEATURE_UNALIGNED) && \
    !defined(__ARM_BIG_ENDIAN)
#define MICROZOO_DSP 1 /* -mno-unaligned-access, for memory or settings that trap unaligned words, leaves the portable kernels */
#endif
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define MICROZOO_MVE 1
#include <arm_mve.h>
#endif
#if defined(__thumb__) && !defined(__thumb2__)
#define MICROZOO_THUMB1 1 /* neither a long multiplication nor a division */
#endif

#if defined(__GNUC__)
#define MICROZOO_ONCE static __attribute__((noinline)) /* inlined, it would be in flash several times */
#else
#define MICROZOO_ONCE static
#endif

/* value * mantissa / 2^31, to nearest, halves up; mantissa >= 0. */
#ifdef MICROZOO_THUMB1
MICROZOO_ONCE int32_t multiply_high(int32_t value, int32_t mantissa) {
    const int32_t value_high = value >> 16, value_low = value & 0xFFFF, high = mantissa >> 16, low = mantissa & 0xFFFF;
    const int32_t middle = value_high * low + (int32_t)(((uint32_t)value_low * (uint32_t)low) >> 16), other = value_low * high;
    const int32_t rest = (middle & 0xFFFF) + (other & 0xFFFF);
    return 2 * (value_high * high + (middle >> 16) + (other >> 16)) + ((rest + 0x4000) >> 15);
}
#else
static inline int32_t multiply_high(int32_t value, int32_t mantissa) {
    return (int32_t)(((int64_t)value * mantissa + (INT64_C(1) << 30)) >> 31);
}
#endif

/* The same where 2 * value fits int32. */
static inline int32_t multiply_high_small(int32_t value, int32_t mantissa) {
#ifdef MICROZOO_DSP
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"((uint32_t)value << 1), "r"(mantissa));
    return high;
#else
    return multiply_high(value, mantissa);
#endif
}

/* value / 2^shift, rounded so that adding 1 and shifting out one more bit gives value / 2^(shift + 1) to nearest, halves away from
 * zero. */
static inline int32_t shift_right_but_one(int32_t value, int shift) {
    return (value + (value >> 31)) >> shift;
}

/* Twice value * mantissa / 2^31 / 2^(shift + 1) before that last rounding, for any shift that is stored below 0, and limited to
 * what lies far outside int8. The exporter has checked that the value stays within int32 where it goes to the left. */
MICROZOO_ONCE int32_t requantise_any(int32_t value, int32_t mantissa, int shift) {
    const int32_t limit = INT32_C(1) << 24;
    const int left = shift < -32 ? 0 : -1 - shift;
    value = multiply_high(value * (int32_t)(UINT32_C(1) << left), mantissa);
    if (shift < -32) value = shift_right_but_one(value, shift + 64);
    value = value > limit ? limit : value < -limit ? -limit : value;
    return shift < -32 ? value : 2 * value;
}

/* An output: value * mantissa / 2^31 / 2^(shift + 1), rounded after the multiplication and again after the shift, plus the zero
 * point, of which `offset` is the double plus one. */
static inline int32_t requantise(int32_t value, int32_t mantissa, int shift, int32_t offset, int32_t lowest) {
    const int32_t twice = offset + (shift >= 0 ? shift_right_but_one(multiply_high_small(value, mantissa), shift)
                                               : requantise_any(value, mantissa, shift));
#ifdef MICROZOO_DSP
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(value) : "r"(twice) : "cc");
#else
    value = twice >> 1;
    value = value > 127 ? 127 : value;
#endif
    return value < lowest ? lowest : value;
}

#if defined(MICROZOO_DSP) && !defined(MICROZOO_MVE)
/* Assembly, because gcc loads more words ahead than there are registers, and makes two instructions of a rotation with an
 * extension. Words may be unaligned here. */

/* Two int16 that are added to bytes. */
static inline uint32_t both(int32_t value) {
    return (uint32_t)(uint16_t)value * UINT32_C(0x10001);
}

/* Four int8 plus `offset`, as int16: 0 and 2 in `even`, 1 and 3 in `odd`. */
static inline void load4(const int8_t *from, uint32_t offset, uint32_t *even, uint32_t *odd) {
    __asm__ volatile("ldr %1, [%2]\n\tsxtab16 %0, %3, %1\n\tsxtab16 %1, %3, %1, ror #8"
                     : "=&r"(*even), "=&r"(*odd)
                     : "r"(from), "r"(offset)
                     : "memory");
}

/* Adds the products with four weights to `first`, and with the four that lie `row` further on to `second`; moves on by four. */
static inline const int8_t *mac8(const int8_t *w, int32_t row, uint32_t even, uint32_t odd, int32_t *first, int32_t *second) {
    uint32_t low, high;
    __asm__ volatile("ldr %1, [%2, %7]\n\tsxtb16 %0, %1\n\tsxtb16 %1, %1, ror #8\n\tsmlad %4, %5, %0, %4\n\t"
                     "smlad %4, %6, %1, %4\n\t"
                     "ldr %1, [%2], #4\n\tsxtb16 %0, %1\n\tsxtb16 %1, %1, ror #8\n\tsmlad %3, %5, %0, %3\n\tsmlad %3, %6, %1, %3"
                     : "=&r"(low), "=&r"(high), "+&r"(w), "+&r"(*first), "+&r"(*second)
                     : "r"(even), "r"(odd), "r"(row)
                     : "memory");
    return w;
}
#endif

#ifdef MICROZOO_MVE
/* The sum plus up to sixteen products of weights with values of that zero point. */
static inline int32_t mac16(int32_t sum, int8x16_t values, const int8_t *w, int32_t zero_point, mve_pred16_t some) {
    const int8x16_t weights = vldrbq_z_s8(w, some);
    if (zero_point != 0) sum -= zero_point * vaddvq_p_s8(weights, some);
    return vmladavaq_p_s8(sum, values, weights, some);
}
#endif

/* The inputs of a window: `lines` pieces of n, in_step apart, whose weights are w_step apart; the next filter's are w_row on. */
typedef struct {
    int32_t lines, n, in_step, w_step, w_row, zero_point;
} strip;

/* sums[i] += sum of (a - zero_point) * w over the strip, for the four rows of weights from w on that lie `row` apart. */
static inline void dot4(const strip *s, const int8_t *a, const int8_t *w, int32_t row, int32_t sums[4]) {
    const int32_t zero_point = s->zero_point;
    int32_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
    for (int32_t line = s->lines; line > 0; line--, a += s->in_step, w += s->w_step) {
        const int8_t *x = a, *v = w, *u = w + 2 * row;
        int32_t n = s->n;
#if defined(MICROZOO_MVE)
        for (; n > 0; n -= 16, x += 16, v += 16, u += 16) {
            const mve_pred16_t some = vctp8q((uint32_t)n);
            const int8x16_t values = vldrbq_z_s8(x, some);
            sum0 = mac16(sum0, values, v, zero_point, some);
            sum1 = mac16(sum1, values, v + row, zero_point, some);
            sum2 = mac16(sum2, values, u, zero_point, some);
            sum3 = mac16(sum3, values, u + row, zero_point, some);
        }
#elif defined(MICROZOO_DSP)
        const uint32_t offset = both(-zero_point);
        for (const int8_t *end = x + (n & ~3); x != end; x += 4) {
            uint32_t even, odd;
            load4(x, offset, &even, &odd);
            v = mac8(v, row, even, odd, &sum0, &sum1);
            u = mac8(u, row, even, odd, &sum2, &sum3);
        }
        n &= 3;
#endif
        for (; n > 0; n--, v++, u++) {
            const int32_t value = *x++ - zero_point;
            sum0 += value * v[0];
            sum1 += value * v[row];
            sum2 += value * u[0];
            sum3 += value * u[row];
        }
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

/* Starts the sums of `count` channels, one or four, from channel k on. */
static inline void begin(const microzoo_output *o, int32_t k, int32_t count, int32_t sums[4]) {
    if (count == 4)
        memcpy(sums, o->bias + k, 4 * sizeof *sums);
    else
        sums[0] = o->bias[k];
}

/* Writes the outputs of `count` channels from channel k on, whose sums these are. */
MICROZOO_ONCE void finish(const microzoo_output *o, int32_t k, int32_t count, const int32_t *sums, int8_t *output) {
    const int32_t *mantissa = o->mantissa + k, *end = sums + count;
    const int8_t *shift = o->shift + k;
#ifdef MICROZOO_MVE
    if (count == 4) {
        const int32x4_t modulo = vandq_s32(vaddq_n_s32(vldrbq_s32(shift), 32), vdupq_n_s32(63));
        int32x4_t exponent = vsubq_s32(vdupq_n_s32(31), modulo), values = vldrwq_s32(sums);
        values = vqrdmulhq_s32(vshlq_s32(values, vmaxq_s32(exponent, vdupq_n_s32(0))), vldrwq_s32(mantissa));
        exponent = vminq_s32(exponent, vdupq_n_s32(0));
        values = vrshlq_s32(vaddq_s32(values, vshrq_n_s32(vandq_s32(values, exponent), 31)), exponent);
        values = vminq_s32(vmaxq_s32(vqaddq_n_s32(values, o->zero_point), vdupq_n_s32(o->lowest)), vdupq_n_s32(127));
        vstrbq_s32(output + k, values);
        return;
    }
#endif
    const int32_t offset = 2 * o->zero_point + 1, lowest = o->lowest;
    output += k;
    do *output++ = (int8_t)requantise(*sums++, *mantissa++, *shift++, offset, lowest);
    while (sums != end);
}

/* The part of a window that lies on the map: kernel rows [top, bottom) and columns [left, right), and where it starts. */
typedef struct {
    int32_t top, bottom, left, right;
    const int8_t *corner;
} patch;

static inline patch clip(const microzoo_window *g, const int8_t *input, int32_t out_y, int32_t out_x) {
    const int32_t y = out_y * g->stride_y - g->pad_top, x = out_x * g->stride_x - g->pad_left;
    patch p;
    p.top = y < 0 ? -y : 0;
    p.left = x < 0 ? -x : 0;
    p.bottom = g->in_height - y < g->kernel_height ? g->in_height - y : g->kernel_height;
    p.right = g->in_width - x < g->kernel_width ? g->in_width - x : g->kernel_width;
    p.corner = input + ((y + p.top) * g->in_width + x + p.left) * g->in_channels;
    return p;
}

/* The strip of a layer as far as it is the same for all windows. */
static inline strip strip_of(const microzoo_conv_layer *layer, int32_t channels) {
    const microzoo_window *g = &layer->window;
    strip s;
    s.in_step = g->in_width * channels;
    s.w_step = g->kernel_width * channels;
    s.w_row = s.w_step * g->kernel_height;
    s.zero_point = layer->input_zero_point;
    return s;
}

void microzoo_conv(const microzoo_conv_layer *layer, const int8_t *input, int8_t *output) {
    const microzoo_window *g = &layer->window;
    strip s = strip_of(layer, g->in_channels);
    for (int32_t y = 0; y < g->out_height; y++) {
        for (int32_t x = 0; x < g->out_width; x++, output += g->out_channels) {
            const patch p = clip(g, input, y, x);
            const int8_t *weight = layer->weight + p.top * s.w_step + p.left * g->in_channels;
            s.lines = p.bottom - p.top;
            s.n = (p.right - p.left) * g->in_channels;
            for (int32_t k = 0; k < g->out_channels;) {
                int32_t sums[4] = {0, 0, 0, 0};
                const int32_t count = g->out_channels < 4 ? 1 : 4;
                if (k > g->out_channels - count) k = g->out_channels - count;
                begin(&layer->output, k, count, sums);
                dot4(&s, p.corner, weight + k * s.w_row, count == 1 ? 0 : s.w_row, sums); /* a single row is taken four times */
                finish(&layer->output, k, count, sums, output);
                k += count;
            }
        }
    }
}

/* sums[i] += sum of (a - zero_point) * w over a window of four channels, `channels` apart. */
static inline void window4(const strip *s, const int8_t *a, const int8_t *w, int32_t channels, int32_t sums[4]) {
#ifdef MICROZOO_MVE
    int32x4_t total = vldrwq_s32(sums);
    for (int32_t line = s->lines; line > 0; line--, a += s->in_step, w += s->w_step)
        for (int32_t i = 0; i < s->n; i += channels)
            total = vaddq_s32(total, vmulq_s32(vsubq_n_s32(vldrbq_s32(a + i), s->zero_point), vldrbq_s32(w + i)));
    vstrwq_s32(sums, total);
#else
    int32_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
    for (int32_t line = s->lines; line > 0; line--, a += s->in_step, w += s->w_step) {
        const int8_t *x = a, *v = w;
#ifdef MICROZOO_DSP
        const uint32_t offset = both(-s->zero_point);
        for (const int8_t *end = x + s->n; x != end; x += channels, v += channels) {
            uint32_t even, odd, low, high;
            load4(x, offset, &even, &odd);
            __asm__ volatile("ldr %1, [%6]\n\tsxtb16 %0, %1\n\tsxtb16 %1, %1, ror #8\n\tsmlabb %2, %7, %0, %2\n\t"
                             "smlatt %4, %7, %0, %4\n\tsmlabb %3, %8, %1, %3\n\tsmlatt %5, %8, %1, %5"
                             : "=&r"(low), "=&r"(high), "+&r"(sum0), "+&r"(sum1), "+&r"(sum2), "+&r"(sum3)
                             : "r"(v), "r"(even), "r"(odd)
                             : "memory");
        }
#else
        for (const int8_t *end = x + s->n; x != end; x += channels, v += channels) {
            sum0 += (x[0] - s->zero_point) * v[0];
            sum1 += (x[1] - s->zero_point) * v[1];
            sum2 += (x[2] - s->zero_point) * v[2];
            sum3 += (x[3] - s->zero_point) * v[3];
        }
#endif
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
#endif
}

/* The same for one channel. */
static inline void window1(const strip *s, const int8_t *a, const int8_t *w, int32_t channels, int32_t *sum) {
    for (int32_t line = s->lines; line > 0; line--, a += s->in_step, w += s->w_step)
        for (int32_t i = 0; i < s->n; i += channels) *sum += (a[i] - s->zero_point) * w[i];
}

void microzoo_depthwise(const microzoo_conv_layer *layer, const int8_t *input, int8_t *output) {
    const microzoo_window *g = &layer->window;
    int32_t sums[4];
    strip s = strip_of(layer, g->in_channels);
    for (int32_t y = 0; y < g->out_height; y++) {
        for (int32_t x = 0; x < g->out_width; x++, output += g->in_channels) {
            const patch p = clip(g, input, y, x);
            const int8_t *weight = layer->weight + p.top * s.w_step + p.left * g->in_channels;
            s.lines = p.bottom - p.top;
            s.n = (p.right - p.left) * g->in_channels;
            for (int32_t c = 0; c < g->in_channels;) {
                const int32_t count = g->in_channels < 4 ? 1 : 4;
                if (c > g->in_channels - count) c = g->in_channels - count;
                begin(&layer->output, c, count, sums);
                if (count == 4)
                    window4(&s, p.corner + c, weight + c, g->in_channels, sums);
                else
                    window1(&s, p.corner + c, weight + c, g->in_channels, sums);
                finish(&layer->output, c, count, sums, output);
                c += count;
            }
        }
    }
}

void microzoo_max_pool(const microzoo_window *g, const int8_t *input, int8_t *output) {
    const int32_t channels = g->in_channels, row = g->in_width * channels, n = g->kernel_width * channels;
    for (int32_t y = 0; y < g->out_height; y++) {
        for (int32_t x = 0; x < g->out_width; x++, output += channels) {
            const int8_t *corner = input + y * g->stride_y * row + x * g->stride_x * channels;
            int32_t c = 0;
#ifdef MICROZOO_DSP
            for (; c < channels && channels >= 4; c += 4) {
                uint32_t highest = UINT32_C(0x80808080);
                if (c > channels - 4) c = channels - 4;
                const int8_t *line = corner + c;
                for (int32_t left = g->kernel_height; left > 0; left--, line += row)
                    for (const int8_t *a = line, *end = line + n; a != end; a += channels) {
                        uint32_t word;
                        __asm__ volatile("ldr %0, [%2]\n\tssub8 %1, %0, %3\n\tsel %1, %0, %3"
                                         : "=&r"(word), "=&r"(highest) : "r"(a), "r"(highest) : "memory", "cc");
                    }
                memcpy(output + c, &highest, 4);
            }
#endif
            for (; c < channels; c++) {
                int32_t highest = -128;
                const int8_t *line = corner + c;
                for (int32_t left = g->kernel_height; left > 0; left--, line += row)
                    for (int32_t i = 0; i < n; i += channels) highest = line[i] > highest ? line[i] : highest;
                output[c] = (int8_t)highest;
            }
        }
    }
}

/* The mean of `count` int8, to nearest, halves away from zero. */
static inline int8_t mean(int32_t sum, int32_t count) {
#ifdef MICROZOO_THUMB1
    int32_t rest = (sum < 0 ? -sum : sum) + count / 2, quotient = 0;
    for (int32_t bit = 128; bit > 0; bit >>= 1)
        if (rest >= count * bit) {
            rest -= count * bit;
            quotient += bit;
        }
    return (int8_t)(sum < 0 ? -quotient : quotient);
#else
    return (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
#endif
}

void microzoo_average_pool(const microzoo_window *g, const int8_t *input, int8_t *output) {
    const int32_t channels = g->in_channels, row = g->in_width * channels, n = g->kernel_width * channels;
    const int32_t count = (int32_t)g->kernel_height * g->kernel_width;
    for (int32_t y = 0; y < g->out_height; y++) {
        for (int32_t x = 0; x < g->out_width; x++) {
            const int8_t *corner = input + y * g->stride_y * row + x * g->stride_x * channels;
            for (int32_t c = 0; c < channels; c++, corner++) {
                const int8_t *line = corner;
                int32_t sum = 0;
                for (int32_t left = g->kernel_height; left > 0; left--, line += row)
                    for (int32_t i = 0; i < n; i += channels) sum += line[i];
                *output++ = mean(sum, count);
            }
        }
    }
}

void microzoo_pad(const microzoo_window *g, int zero_point, const int8_t *input, int8_t *output) {
    const size_t in_row = (size_t)g->in_width * g->in_channels, out_row = (size_t)g->out_width * g->in_channels;
    memset(output, zero_point, out_row * g->out_height);
    output += g->pad_top * out_row + (size_t)g->pad_left * g->in_channels;
    for (int32_t y = 0; y < g->in_height; y++, input += in_row, output += out_row) memcpy(output, input, in_row);
}

/* An operand of an addition on the common scale. */
static inline int32_t operand(const microzoo_operand *o, int32_t value) {
    return (shift_right_but_one(multiply_high_small(value * o->factor - o->offset, o->mantissa), o->shift) + 1) >> 1;
}

void microzoo_add(const microzoo_add_layer *layer, const int8_t *left, const int8_t *right, int8_t *output) {
    const microzoo_operand l = layer->left, r = layer->right;
    const int32_t mantissa = layer->mantissa, offset = 2 * layer->zero_point + 1, lowest = layer->lowest, shift = layer->shift;
    for (const int8_t *end = left + layer->size; left != end;)
        *output++ = (int8_t)requantise(operand(&l, *left++) + operand(&r, *right++), mantissa, shift, offset, lowest);
}
