/* What build.rs puts in the place of some calls of LLVM in WAMR's compiler. */

#ifndef ASSAY_COMPARE_H
#define ASSAY_COMPARE_H

#include "aot_llvm.h"

/* LLVMBuildFCmp of two floats. */
LLVMValueRef
assay_compare(const AOTCompContext *comp_ctx, LLVMRealPredicate predicate, LLVMValueRef left, LLVMValueRef right,
              const char *name);

/* pmin or pmax of two vectors of floats; NULL for targets that WAMR's own code is right for. */
LLVMValueRef
assay_pseudo_minmax(const AOTCompContext *comp_ctx, bool min, LLVMValueRef left, LLVMValueRef right);

#endif
