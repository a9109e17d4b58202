/* Choices by comparisons of floats, for AArch64, that LLVM does not make a maximum or minimum of.

   LLVM takes a choice between a value and a constant by which of them is greater, or less, for FMAXNM or FMINNM if a
   quiet NaN gives the constant. But for a signalling NaN these instructions give a NaN, where WebAssembly wants the
   constant; and the less of -0 and the constant 0 is -0 for them, where the comparison finds the two equal. To LLVM's
   fcmp neither matters. Whether there is such a choice is known only after optimization, for if and else become one too;
   so the comparison must be something else than fcmp. */

#include "compare.h"
#include <string.h>

static bool
is_aarch64(const AOTCompContext *comp_ctx)
{
    return strncmp(comp_ctx->target_arch, "aarch64", 7) == 0;
}

static const char *
ordered_name(LLVMRealPredicate predicate)
{
    switch (predicate) {
        case LLVMRealOGT:
            return "ogt";
        case LLVMRealOGE:
            return "oge";
        case LLVMRealOLT:
            return "olt";
        case LLVMRealOLE:
            return "ole";
        default:
            return NULL;
    }
}

/* The intrinsic for code that minds floating-point exceptions, as WAMR's arithmetic: an FCMP, whatever uses its result. */
LLVMValueRef
assay_compare(const AOTCompContext *comp_ctx, LLVMRealPredicate predicate, LLVMValueRef left, LLVMValueRef right,
              const char *name)
{
    static const char INTRINSIC[] = "llvm.experimental.constrained.fcmp";
    const char *condition = ordered_name(predicate);

    if (!is_aarch64(comp_ctx) || !condition)
        return LLVMBuildFCmp(comp_ctx->builder, predicate, left, right, name);

    LLVMTypeRef type = LLVMTypeOf(left);
    unsigned id = LLVMLookupIntrinsicID(INTRINSIC, sizeof(INTRINSIC) - 1);
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(comp_ctx->module, id, &type, 1);
    LLVMValueRef arguments[] = {
        left,
        right,
        LLVMMDStringInContext(comp_ctx->context, condition, (unsigned)strlen(condition)),
        comp_ctx->fp_exception_behavior,
    };
    return LLVMBuildCall2(comp_ctx->builder, LLVMGlobalGetValueType(function), function, arguments, 4, name);
}

/* The instruction itself, which no pass looks into: the intrinsic compares vectors lane by lane. */
LLVMValueRef
assay_pseudo_minmax(const AOTCompContext *comp_ctx, bool min, LLVMValueRef left, LLVMValueRef right)
{
    static const char CONSTRAINTS[] = "=w,w,w";
    LLVMBuilderRef builder = comp_ctx->builder;

    if (!is_aarch64(comp_ctx))
        return NULL;
    /* WAMR makes none of LLVM's assemblers ready. */
    LLVMInitializeAArch64AsmParser();

    LLVMTypeRef type = LLVMTypeOf(left);
    bool single = LLVMGetVectorSize(type) == 4;
    LLVMTypeRef bits = LLVMVectorType(single ? LLVMInt32TypeInContext(comp_ctx->context)
                                             : LLVMInt64TypeInContext(comp_ctx->context),
                                      single ? 4 : 2);
    const char *greater = single ? "fcmgt $0.4s, $1.4s, $2.4s" : "fcmgt $0.2d, $1.2d, $2.2d";
    LLVMTypeRef types[] = { type, type };
    LLVMTypeRef signature = LLVMFunctionType(bits, types, 2, false);
    LLVMValueRef instruction = LLVMGetInlineAsm(signature, greater, strlen(greater), CONSTRAINTS, strlen(CONSTRAINTS),
                                                false, false, LLVMInlineAsmDialectATT, false);
    LLVMValueRef arguments[] = { min ? left : right, min ? right : left };
    LLVMValueRef mask = LLVMBuildCall2(builder, signature, instruction, arguments, 2, "mask");

    /* The right one where it is less or greater, else the left one. */
    LLVMValueRef chosen =
        LLVMBuildAnd(builder, LLVMBuildBitCast(builder, right, bits, "right"), mask, "chosen");
    LLVMValueRef other = LLVMBuildAnd(builder, LLVMBuildBitCast(builder, left, bits, "left"),
                                      LLVMBuildNot(builder, mask, "not"), "other");
    return LLVMBuildBitCast(builder, LLVMBuildOr(builder, chosen, other, "selected"), type, "result");
}
