_base_ = '../_base_/demo.py'
stream = 'j'
data = {{_base_.stream.demo.j.plain}}
work_dir = './work_dirs/demo/j'
