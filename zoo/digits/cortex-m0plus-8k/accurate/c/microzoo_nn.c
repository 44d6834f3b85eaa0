/* Int8 neural network kernels for microcontrollers, C99. Part of Microzoo, Apache-2.0. See microzoo_nn.h.
 *
 * Right shifts of negative numbers are arithmetic, as on every compiler that has an Arm or a wasm back end.
 */
#include "microzoo_nn.h"

#include <string.h>

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32)
#define MICROZOO_DSP 1
#include <arm_acle.h>
#endif

/* value * mantissa / 2^31 * 2^shift, rounded to nearest after the multiplication (halves up) and again after the right shift
 * (halves away from zero). The exporter has checked that value * 2^shift stays within int32. */
static inline int32_t requantise(int32_t value, int32_t mantissa, int shift) {
    const int left = shift > 0 ? shift : 0;
    const int right = shift > 0 ? 0 : -shift;
    const int64_t product = (int64_t)(value * (int32_t)(UINT32_C(1) << left)) * mantissa;
    const int32_t high = (int32_t)((product + (INT64_C(1) << 30)) >> 31);
    const int32_t mask = (int32_t)((UINT32_C(1) << right) - 1);
    const int32_t threshold = (mask >> 1) + (high < 0);
    return (high >> right) + ((high & mask) > threshold);
}

static inline int8_t clamp(int32_t value, int32_t lowest) {
    return (int8_t)(value < lowest ? lowest : value > 127 ? 127 : value);
}

#ifdef MICROZOO_DSP
/* Four int8 as one word; unaligned addresses are fine on every core with DSP instructions. */
static inline uint32_t load4(const int8_t *from) {
    uint32_t word;
    memcpy(&word, from, 4);
    return word;
}

static inline uint32_t rotate8(uint32_t word) {
    return (word >> 8) | (word << 24);
}
#endif

/* sums[i] += sum over n of (a - zero_point) * w_i for two rows of weights, w and w + row. */
static inline void dot2(const int8_t *a, const int8_t *w, uint32_t row, uint32_t n, int32_t zero_point, int32_t sums[2]) {
    const int8_t *v = w + row;
    int32_t first = sums[0];
    int32_t second = sums[1];
#ifdef MICROZOO_DSP
    const uint32_t offset = (uint32_t)(uint16_t)(-zero_point) * UINT32_C(0x10001);
    for (; n >= 4; n -= 4, a += 4, w += 4, v += 4) {
        const uint32_t x = load4(a), y = load4(w), z = load4(v);
        const int16x2_t even = __sxtab16(offset, x), odd = __sxtab16(offset, rotate8(x));
        first = __smlad(even, __sxtb16(y), first);
        second = __smlad(even, __sxtb16(z), second);
        first = __smlad(odd, __sxtb16(rotate8(y)), first);
        second = __smlad(odd, __sxtb16(rotate8(z)), second);
    }
#endif
    for (; n > 0; n--) {
        const int32_t x = *a++ - zero_point;
        first += x * *w++;
        second += x * *v++;
    }
    sums[0] = first;
    sums[1] = second;
}

/* sum + sum over n of (a - zero_point) * w. */
static inline int32_t dot(const int8_t *a, const int8_t *w, uint32_t n, int32_t zero_point, int32_t sum) {
#ifdef MICROZOO_DSP
    const uint32_t offset = (uint32_t)(uint16_t)(-zero_point) * UINT32_C(0x10001);
    for (; n >= 4; n -= 4, a += 4, w += 4) {
        const uint32_t x = load4(a), y = load4(w);
        sum = __smlad(__sxtab16(offset, x), __sxtb16(y), sum);
        sum = __smlad(__sxtab16(offset, rotate8(x)), __sxtb16(rotate8(y)), sum);
    }
#endif
    for (; n > 0; n--) sum += (*a++ - zero_point) * *w++;
    return sum;
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

void microzoo_conv(const microzoo_conv_layer *layer, const int8_t *input, int8_t *output) {
    const microzoo_window *g = &layer->window;
    const int32_t zero_point = layer->input_zero_point;
    const int32_t in_row = (int32_t)g->in_width * g->in_channels;
    const int32_t w_row = (int32_t)g->kernel_width * g->in_channels;
    const uint32_t w_size = (uint32_t)(w_row * g->kernel_height);
    for (int32_t y = 0; y < g->out_height; y++) {
        for (int32_t x = 0; x < g->out_width; x++) {
            const patch p = clip(g, input, y, x);
            const uint32_t n = (uint32_t)((p.right - p.left) * g->in_channels);
            const int8_t *weight = layer->weight + p.top * w_row + p.left * g->in_channels;
            for (int32_t k = 0; k < g->out_channels; k += 2, weight += 2 * w_size) {
                const int8_t *a = p.corner, *w = weight;
                int32_t sums[2] = {layer->bias[k], 0};
                if (k + 1 == g->out_channels) { /* the last of an odd number */
                    for (int32_t row = p.top; row < p.bottom; row++, a += in_row, w += w_row)
                        sums[0] = dot(a, w, n, zero_point, sums[0]);
                } else {
                    sums[1] = layer->bias[k + 1];
                    for (int32_t row = p.top; row < p.bottom; row++, a += in_row, w += w_row)
                        dot2(a, w, w_size, n, zero_point, sums);
                }
                for (int32_t i = 0; i < 2 && k + i < g->out_channels; i++)
                    *output++ = clamp(
                        requantise(sums[i], layer->mantissa[k + i], layer->shift[k + i]) + layer->output_zero_point, layer->lowest);
            }
        }
    }
}

void microzoo_depthwise(const microzoo_conv_layer *layer, const int8_t *input, int8_t *output) {
    const microzoo_window *g = &layer->window;
    const int32_t channels = g->in_channels;
    const int32_t in_row = (int32_t)g->in_width * channels, w_row = (int32_t)g->kernel_width * channels;
    const int32_t zero_point = layer->input_zero_point;
    for (int32_t y = 0; y < g->out_height; y++) {
        for (int32_t x = 0; x < g->out_width; x++) {
            const patch p = clip(g, input, y, x);
            const int8_t *weight = layer->weight + p.top * w_row + p.left * channels;
            for (int32_t c = 0; c < channels; c++) {
                const int8_t *in_line = p.corner + c, *w_line = weight + c;
                int32_t sum = layer->bias[c];
                for (int32_t row = p.top; row < p.bottom; row++, in_line += in_row, w_line += w_row) {
                    const int8_t *a = in_line, *w = w_line;
                    for (int32_t column = p.left; column < p.right; column++, a += channels, w += channels)
                        sum += (*a - zero_point) * *w;
                }
                *output++ = clamp(requantise(sum, layer->mantissa[c], layer->shift[c]) + layer->output_zero_point, layer->lowest);
            }
        }
    }
}

void microzoo_dense(const microzoo_dense_layer *layer, const int8_t *input, int8_t *output) {
    const int8_t *weight = layer->weight;
    for (uint32_t k = 0; k < layer->units; k++, weight += layer->features) {
        const int32_t sum = dot(input, weight, layer->features, 0, layer->bias[k]);
        output[k] = clamp(requantise(sum, layer->mantissa, layer->shift) + layer->output_zero_point, layer->lowest);
    }
}

void microzoo_max_pool(const microzoo_window *g, const int8_t *input, int8_t *output) {
    for (int32_t y = 0; y < g->out_height; y++) {
        for (int32_t x = 0; x < g->out_width; x++) {
            const patch p = clip(g, input, y, x);
            for (int32_t c = 0; c < g->in_channels; c++) {
                int8_t highest = -128;
                for (int32_t row = p.top; row < p.bottom; row++) {
                    const int8_t *a = p.corner + row * g->in_width * g->in_channels + c;
                    for (int32_t column = p.left; column < p.right; column++, a += g->in_channels)
                        if (*a > highest) highest = *a;
                }
                *output++ = highest;
            }
        }
    }
}

void microzoo_average_pool(const microzoo_window *g, const int8_t *input, int8_t *output) {
    const int32_t count = (int32_t)g->kernel_height * g->kernel_width;
    for (int32_t y = 0; y < g->out_height; y++) {
        for (int32_t x = 0; x < g->out_width; x++) {
            const patch p = clip(g, input, y, x);
            for (int32_t c = 0; c < g->in_channels; c++) {
                int32_t sum = 0;
                for (int32_t row = p.top; row < p.bottom; row++) {
                    const int8_t *a = p.corner + row * g->in_width * g->in_channels + c;
                    for (int32_t column = p.left; column < p.right; column++, a += g->in_channels) sum += *a;
                }
                *output++ = (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
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

void microzoo_add(const microzoo_add_layer *layer, const int8_t *left, const int8_t *right, int8_t *output) {
    for (uint32_t i = 0; i < layer->size; i++) {
        const int32_t a = (left[i] - layer->left_zero_point) * (INT32_C(1) << 20);
        const int32_t b = (right[i] - layer->right_zero_point) * (INT32_C(1) << 20);
        const int32_t sum = requantise(a, layer->left_mantissa, layer->left_shift) +
                            requantise(b, layer->right_mantissa, layer->right_shift);
        output[i] = clamp(requantise(sum, layer->output_mantissa, layer->output_shift) + layer->output_zero_point, layer->lowest);
    }
}
