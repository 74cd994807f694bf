import { InlineEngine } from '../../../src/stripes/engine/inline.ts';
import { engineConformance } from '../../conformance/engine.ts';

engineConformance('the inline engine', () => new InlineEngine({ profile: { k: 4, m: 2, codecId: 1 } }));
