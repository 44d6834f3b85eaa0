/* Runs a generated model on an emulated Cortex-M, over the inputs that emulated_inputs.S holds, and says on standard error:
 *   stack BYTES          deepest stack of one call of model_invoke, its own frame included, by painting
 *   ticks ROUNDS COUNT   of the system timer during one call, without the call of an empty function; one line an input
 *   output Q Q Q ...     the int8 outputs, one line an input
 * and "done" at the end. Everything that the emulator is asked for goes through semihosting. */
#include <stdint.h>

#define SYST_CSR (*(volatile uint32_t *)0xE000E010)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018)
#define VTOR (*(volatile uint32_t *)0xE000ED08)
#define CPACR (*(volatile uint32_t *)0xE000ED88)
#define TIMER_BITS 24
#define PAINT UINT32_C(0xA5C35A3C)
#define PAINTED_WORDS 8192

extern uint32_t image_stack_top;
extern const int8_t emulated_inputs[];
void image_reset(void);

static volatile uint32_t timer_rounds;

static uint32_t semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void say(const char *text)
{
    semihosting(0x04, text); /* SYS_WRITE0 */
}

static void say_number(int32_t value)
{
    char text[12];
    int at = sizeof text - 1;
    uint32_t rest = value < 0 ? -(uint32_t)value : (uint32_t)value;

    text[at] = 0;
    do {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        text[--at] = '-';
    say(text + at);
}

static void leave(uint32_t status)
{
    const uint32_t block[2] = {0x20026, status}; /* ADP_Stopped_ApplicationExit */
    for (;;)
        semihosting(0x20, block); /* SYS_EXIT_EXTENDED */
}

static void fault(void)
{
    say("fault\n");
    leave(2);
}

static void timer_round(void)
{
    timer_rounds++;
}

static const __attribute__((aligned(128))) void *const vectors[16] = {
    &image_stack_top, (const void *)image_reset, (const void *)fault, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, 0, 0, 0, 0, (const void *)fault, (const void *)fault, 0, (const void *)fault,
    (const void *)timer_round,
};

static __attribute__((noinline)) void nothing(void)
{
    __asm__ volatile("");
}

/* Ticks during one call: the timer counts down, and an interrupt counts its rounds. */
static __attribute__((noinline)) uint64_t ticks(void (*function)(void))
{
    uint32_t start, end;

    SYST_CVR = 0;
    while (SYST_CVR == 0) {
    }
    timer_rounds = 0;
    start = SYST_CVR;
    function();
    end = SYST_CVR;
    return ((uint64_t)timer_rounds << TIMER_BITS) + start - end;
}

/* Bytes below the caller's frame that one call writes to. What it reserves and never writes does not count. */
static __attribute__((noinline)) uint32_t stack_of(void (*function)(void))
{
    uint32_t *top, *at;

    __asm__ volatile("mov %0, sp" : "=r"(top));
    for (at = top - 1; at >= top - PAINTED_WORDS; at--)
        *at = PAINT;
    function();
    for (at = top - PAINTED_WORDS; at < top && *at == PAINT; at++) {
    }
    return (uint32_t)(top - at) * 4;
}

static void put(const int8_t *input)
{
    volatile int8_t *to = model_input();
    uint32_t i;

    for (i = 0; i < MODEL_INPUT_BYTES; i++)
        to[i] = input[i];
}

int main(void)
{
    uint32_t i, k;
    uint64_t empty, taken;

    VTOR = (uint32_t)vectors;
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    CPACR |= UINT32_C(0xF) << 20; /* the coprocessor of floating point, and of vectors */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    put(emulated_inputs);
    say("stack ");
    say_number((int32_t)stack_of(model_invoke));
    say("\n");
    SYST_RVR = (UINT32_C(1) << TIMER_BITS) - 1;
    SYST_CVR = 0;
    SYST_CSR = 7; /* processor clock, interrupt, on */
    empty = ticks(nothing);
    for (i = 0; i < EMULATED_INPUTS; i++) {
        put(emulated_inputs + i * MODEL_INPUT_BYTES);
        taken = ticks(model_invoke) - empty;
        say("ticks ");
        say_number((int32_t)(taken >> TIMER_BITS)); /* whole rounds of the timer, and the rest */
        say(" ");
        say_number((int32_t)(taken & ((UINT32_C(1) << TIMER_BITS) - 1)));
        say("\noutput");
        for (k = 0; k < MODEL_OUTPUT_BYTES; k++) {
            say(" ");
            say_number(model_output()[k]);
        }
        say("\n");
    }
    say("done\n");
    leave(0);
    return 0;
}
