import { formatNumeric, readNumeric } from '../numeric.ts';
import type { NativeForm } from '../forms.ts';

export const numericForm: NativeForm = { read: readNumeric, write: formatNumeric };
