"""Splits from lists, by subject and stratified."""

from __future__ import annotations

import pytest

from aclnet.conversion import Options
from aclnet.conversion.splits import from_options, listed, natural, sections
from aclnet.errors import ACLNetError

FACTS = {f's{i:02d}': dict(label=i % 3, subject=str(i % 5 + 6), recording=f'r{i // 2}') for i in range(30)}


def test_by_subject_nobody_is_in_both():
    split = from_options(Options(by='subject', val_share=0.4, seed=3), FACTS)
    people = {title: {FACTS[name]['subject'] for name in members} for title, members in split.items()}
    assert len(people['val']) == 2 and not people['train'] & people['val']
    assert sorted(split['train'] + split['val']) == sorted(FACTS)
    assert split == from_options(Options(by='subject', val_share=0.4, seed=3), FACTS)
    assert any(split != from_options(Options(by='subject', val_share=0.4, seed=seed), FACTS) for seed in range(4, 9))


def test_by_named_subjects():
    split = from_options(Options(by='subject', val_subjects=('10', '6')), FACTS)
    assert {FACTS[name]['subject'] for name in split['val']} == {'10', '6'}
    with pytest.raises(ACLNetError, match='--val-subjects names 11, but there are 6, 7, 8, 9, 10'):
        from_options(Options(by='subject', val_subjects=('11',)), FACTS)
    with pytest.raises(ACLNetError, match='that of x is not known'):
        from_options(Options(by='subject'), {**FACTS, 'x': dict(label=0)})
    with pytest.raises(ACLNetError, match='at least two subjects'):
        from_options(Options(by='subject'), {'x': dict(label=0, subject='1')})


def test_stratified():
    facts = {**FACTS, 'lone': dict(label=7)}
    split = from_options(Options(by='stratified', val_share=0.2), facts)
    assert [sum(facts[name]['label'] == label for name in split['val']) for label in range(3)] == [2, 2, 2]
    assert 'lone' in split['train'] and len(split['train']) == 25


def test_lists(tmp_path):
    (tmp_path / 'train.txt').write_text('s01.npy, s02\r\n"s03"\r\n\r\nr9 nobody\r\n')
    split = from_options(Options(lists={'mine_train': str(tmp_path / 'train.txt')}), FACTS)
    assert split == dict(mine_train=['s01', 's02', 's03', 's18', 's19'])
    (tmp_path / 'train.txt').write_text('a\nb\n')
    with pytest.raises(ACLNetError, match='names no sample; names look like s00, s01, s02, those of the list like a'):
        from_options(Options(lists={'train': str(tmp_path / 'train.txt')}), FACTS)
    (tmp_path / 'train.txt').write_text('\n')
    with pytest.raises(ACLNetError, match='holds no names'):
        listed(str(tmp_path / 'train.txt'))
    with pytest.raises(ACLNetError, match='does not exist'):
        listed(str(tmp_path / 'none.txt'))
    with pytest.raises(ACLNetError, match='not from both'):
        Options(lists=dict(a='b'), by='subject')


def test_sections(tmp_path):
    path = tmp_path / 'cross-view.txt'
    path.write_text('Training videos:\n0002-L, 0003-M, \n0004-R\nValidataion videos: 0005-L\n')
    assert sections(str(path)) == dict(train={'0002-L', '0003-M', '0004-R'}, val={'0005-L'})
    path.write_text('Training videos:\n0002-L\n')
    with pytest.raises(ACLNetError, match='has none for val'):
        sections(str(path))


def test_without_options_the_benchmark_decides():
    assert from_options(Options(), FACTS) is None


def test_natural_order():
    assert sorted(['a10', 'a2', '10', '9', 'b'], key=natural) == ['9', '10', 'a2', 'a10', 'b']
