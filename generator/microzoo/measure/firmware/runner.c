/* Runs a generated model on the host: argv[1] holds inputs, model_input's bytes each; argv[2] gets the outputs; argv[3] is the
 * size of an input that the caller has in mind. Compiled with -include of the model's header and its names mapped to model_*. */
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *problem)
{
    fprintf(stderr, "%s\n", problem);
    return 1;
}

int main(int argc, char **argv)
{
    FILE *inputs, *outputs;

    if (argc != 4)
        return fail("usage: runner INPUTS OUTPUTS BYTES_OF_AN_INPUT");
    if (strtol(argv[3], NULL, 10) != (long)MODEL_INPUT_BYTES) {
        fprintf(stderr, "the model takes %ld bytes an input, the data have %s\n", (long)MODEL_INPUT_BYTES, argv[3]);
        return 1;
    }
    inputs = fopen(argv[1], "rb");
    outputs = fopen(argv[2], "wb");
    if (!inputs || !outputs)
        return fail("cannot open the inputs or the outputs");
    while (fread(model_input(), 1, MODEL_INPUT_BYTES, inputs) == MODEL_INPUT_BYTES) {
        model_invoke();
        if (fwrite(model_output(), 1, MODEL_OUTPUT_BYTES, outputs) != MODEL_OUTPUT_BYTES)
            return fail("cannot write the outputs");
    }
    return fclose(outputs) ? fail("cannot write the outputs") : 0;
}
