"""Words of the lexicon baseline, written for shops: what praises, what blames, what turns or strengthens it. Chinese and English."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GOOD_EN = _words("""
good great excellent amazing awesome perfect perfectly wonderful fantastic lovely beautiful nice best better love loved loves loving like
liked likes enjoy enjoyed enjoying enjoyable pleased happy glad delighted satisfied satisfying impressed impressive recommend recommended
recommends comfortable comfy soft cozy sturdy durable solid reliable quality flattering stylish elegant cute pretty gorgeous superb
outstanding brilliant fast quick quickly prompt promptly easy easily simple smooth smoothly convenient handy helpful useful friendly
polite responsive fresh tasty delicious yummy clean clear crisp bright quiet affordable cheap bargain worth worthwhile value favorite
favourite fun funny interesting informative works worked well fits fit true thank thanks grateful super sharp light lightweight
accurate efficient generous genuine authentic classic charming compliments complimented pleasant pleasantly flawless ideal
""")
BAD_EN = _words("""
bad terrible horrible awful poor poorly worst worse disappointing disappointed disappointment disappoint hate hated hates dislike disliked
useless worthless waste wasted broken broke break breaks breaking defective faulty damaged damage fail failed fails failure junk trash
garbage crap cheaply flimsy fragile weak thin scratchy itchy uncomfortable tight loose small huge ugly dirty filthy stained stinks
smell smells smelly stinky slow slowly late delayed delay never missing wrong incorrect mistake error problem problems issue issues
difficult hard confusing confused complicated annoying annoyed annoys frustrating frustrated angry rude unhelpful unresponsive
unacceptable refund refunded return returned returning complaint complain overpriced expensive pricey scam fake counterfeit fraud
misleading lied lie liar ripped rip torn tore leak leaks leaking leaked noisy loud crack cracked cracks rust rusty rotten stale
tasteless bland cold soggy burnt stuck stopped dead died unusable unwearable boring bored dull stupid ridiculous pathetic mediocre
inferior regret unfortunately sadly avoid beware shrunk shrank faded fades cancelled cancel
""")
GOOD_ZH = _words("""
好 很好 不错 挺好 真好 太好 好用 好吃 好看 好喝 好评 喜欢 满意 推荐 完美 优秀 精彩 漂亮 美观 精美 精致 舒服 舒适 柔软 方便 快捷 快速 迅速
给力 赞 点赞 超赞 棒 超棒 值得 值 超值 划算 实惠 便宜 物美价廉 物超所值 性价比高 质量好 正品 新鲜 干净 整洁 清晰 流畅 安静 牢固 结实 耐用
热情 周到 贴心 耐心 细心 负责 及时 准时 很快 挺快 惊喜 开心 高兴 愉快 感谢 谢谢 感动 温馨 可爱 香 美味 可口 甜 脆 爽 清爽 丝滑 顺滑 轻便 强大 稳定
合适 合身 正好 刚好 放心 信赖 信任 支持 经典 有趣 有用 有帮助 受益 收获 专业 一流 高档 大气 时尚 显瘦 百搭 回购 再买 还会来 下次还 继续光顾 名不虚传
爱不释手 一如既往 没得说 没话说 不后悔 不失望 靠谱 良心 厚道 五星 满分 性价比不错 物有所值
""")
BAD_ZH = _words("""
差 很差 太差 差劲 差评 坏 坏了 烂 破 破损 垃圾 糟糕 糟 失望 后悔 讨厌 恶心 难吃 难看 难喝 难用 难闻 难受 不好 不行 不满 不满意 不推荐 不值 不爽 不便
贵 太贵 偏贵 坑 坑人 坑爹 骗 骗人 骗子 欺骗 忽悠 假 假货 假的 山寨 盗版 次品 劣质 残次 瑕疵 缺陷 故障 毛病 问题 死机 卡 卡顿 很卡 慢 太慢 很慢 超慢 迟
晚了 迟到 漏 漏发 漏水 少发 错发 发错 缺 缺少 脏 臭 异味 味道大 刺鼻 噪音 吵 太吵 发热 发烫 掉色 褪色 掉毛 起球 变形 开线 脱线 线头 裂 裂开 断 断了 碎
退货 退款 退了 换货 投诉 举报 态度差 敷衍 推卸 不理 不负责 无语 郁闷 气死 气愤 生气 愤怒 可恶 无耻 缺德 黑心 奸商 上当 受骗 浪费 没用 无用 鸡肋 粗糙 廉价
单薄 太薄 硬 太硬 太小 太大 偏小 偏大 发霉 霉 过期 变质 不新鲜 坏果 烂的 酸 苦 咸 太咸 太油 凉了 冷了 洒了 过敏 痒 掉漆 划痕 模糊 反应慢 闪退 黑屏 蓝屏 死
一般般 一般 凑合 将就 勉强 可惜 遗憾 扫兴 再也不 不会再 千万别 别买 勿买 慎买 抵制 乱 混乱 枯燥 无聊 空洞 啰嗦 肤浅 拉肚子
""")
NOT_EN = frozenset(
    _words(
        "not no never nothing nobody none neither nor cannot cant can't dont don't doesnt doesn't didnt didn't isnt isn't wasnt wasn't arent "
        "aren't werent weren't wont won't wouldnt wouldn't couldnt couldn't shouldnt shouldn't havent haven't hasnt hasn't hadnt hadn't "
        "without hardly barely ain't"
    )
)
NOT_ZH = ("不是", "没有", "并不", "并非", "不太", "不怎么", "不够", "毫无", "不会", "不能", "从不", "不", "没", "无", "未", "别", "非", "甭", "木有")  # fmt: skip
MORE_EN = frozenset(
    _words(
        "very really so extremely super absolutely totally completely incredibly highly too most truly quite"
    )
)
LESS_EN = frozenset(_words("slightly somewhat fairly rather little bit kinda"))
MORE_ZH = ("非常", "特别", "十分", "极其", "极", "超级", "超", "太", "真心", "真的", "真", "相当", "实在", "巨", "贼", "蛮", "挺", "很", "好")  # fmt: skip
LESS_ZH = ("有点", "有些", "稍微", "略", "比较", "还算", "还")
BUT_EN = frozenset(_words("but however though although yet except unfortunately"))
BUT_ZH = ("但是", "可是", "不过", "然而", "但", "只是", "就是")
GOOD_MARKS = "😀😃😄😁😆😊🙂😍🥰😘🤩👍👌👏💯❤💕💖💗🌹🎉😋✅⭐🌟✨😇🤗💪"
BAD_MARKS = "😡😠🤬😤😞😟😢😭😩😫👎🤮🤢💔😒🙄😑😓😖😣☹🙁❌💩🥲"
IRONY = ("呵呵", "/s", "🙄", "yeah right", "真是谢谢", "谢谢啊", "thanks a lot for nothing", "[微笑]", "(!)")
"""Marks that praise is not meant: what is praised beside them is read as blame."""
