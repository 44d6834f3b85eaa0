/* Int8 neural network kernels for microcontrollers, C99. Part of Microzoo, Apache-2.0.
 *
 * No heap, no state, no libc beyond string.h. Results equal TensorFlow Lite Micro's reference kernels bit for bit:
 * activations int8 channels last, weights int8 symmetric per output channel, requantisation rounded twice.
 * Link with -ffunction-sections and --gc-sections, and kernels that are not called are dropped.
 */
#ifndef MICROZOO_NN_H
#define MICROZOO_NN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__) || defined(__ARMCC_VERSION)
#define MICROZOO_ALIGNED __attribute__((aligned(4)))
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define MICROZOO_ALIGNED _Alignas(4)
#else
#define MICROZOO_ALIGNED /* alignment makes loads faster; correctness does not depend on it */
#endif

/* A map of in_height x in_width x in_channels, and the window that moves over it. Padding is at the top and the left; what the
 * window needs at the bottom and the right follows from the output's size. */
typedef struct {
    uint16_t in_height, in_width, in_channels;
    uint16_t out_height, out_width, out_channels;
    uint16_t kernel_height, kernel_width;
    uint16_t stride_y, stride_x;
    uint16_t pad_top, pad_left;
} microzoo_window;

/* How sums become int8, a row for each channel: bias, then mantissa / 2^31 / 2^(shift + 1), then the zero point, at least `lowest`.
 * A shift is stored modulo 64: from 0 on where it goes to the right and twice any sum fits int32, from -32 to -1 where it goes
 * nowhere or to the left, below that where it goes to the right and a sum might be larger. */
typedef struct {
    const int32_t *bias;
    const int32_t *mantissa;
    const int8_t *shift;
    int16_t zero_point;
    int8_t lowest;
} microzoo_output;

/* Parameters of a convolution. weight: (out_channels, kernel_height, kernel_width, in_channels); depthwise: (kernel_height,
 * kernel_width, channels). A fully connected layer is a 1 x 1 convolution of a map of one pixel. Where nothing is padded, the zero
 * point of the input is folded into the bias and input_zero_point is 0. */
typedef struct {
    microzoo_window window;
    int32_t input_zero_point;
    const int8_t *weight;
    microzoo_output output;
} microzoo_conv_layer;

/* One side of an addition: (value * factor - offset) * mantissa / 2^31 / 2^(shift + 1); offset: factor * zero point. */
typedef struct {
    int32_t factor, offset, mantissa, shift;
} microzoo_operand;

/* Parameters of an element-wise addition on TFLite's common scale; mantissa and what follows as in microzoo_output. */
typedef struct {
    uint32_t size;
    microzoo_operand left, right;
    int32_t mantissa;
    int16_t zero_point;
    int8_t shift;
    int8_t lowest;
} microzoo_add_layer;

void microzoo_conv(const microzoo_conv_layer *layer, const int8_t *input, int8_t *output);
void microzoo_depthwise(const microzoo_conv_layer *layer, const int8_t *input, int8_t *output);
void microzoo_max_pool(const microzoo_window *window, const int8_t *input, int8_t *output);
void microzoo_average_pool(const microzoo_window *window, const int8_t *input, int8_t *output);
void microzoo_pad(const microzoo_window *window, int zero_point, const int8_t *input, int8_t *output);
/* output may be left or right. */
void microzoo_add(const microzoo_add_layer *layer, const int8_t *left, const int8_t *right, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* MICROZOO_NN_H */
